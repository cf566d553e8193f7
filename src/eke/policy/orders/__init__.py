"""Who goes next: one queue discipline in each file."""
