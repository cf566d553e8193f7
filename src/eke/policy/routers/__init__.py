"""Which engine: one way of choosing in each file."""
