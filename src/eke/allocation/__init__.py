"""Sharing scarce supply among uses as a linear programme: no files, no plans, only numbers."""
