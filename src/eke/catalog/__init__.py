"""Data files, read and checked."""
