"""Sweeps on the user's own machine, fitted to the curves the physics uses."""
