"""Buy, rent or build: what a useful token costs in every way, and what would turn the answer."""
