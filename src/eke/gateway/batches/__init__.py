"""Batches: many requests in a file, answered in the troughs of everything else."""
