"""Cited formulas, and the wiring that feeds them from the nouns."""
