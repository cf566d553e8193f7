"""Files that tenants upload, and those the gateway makes for them."""
