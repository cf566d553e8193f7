"""A chip of one's own: ways to spend its area, what each is worth, and those that none beats."""
