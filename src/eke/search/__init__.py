"""Finding plans."""
