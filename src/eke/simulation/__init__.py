"""A serving fleet, request by request: traffic, engines, and the policies of the gateway."""
