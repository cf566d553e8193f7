"""Promises held in front of live engines: the policies of the simulator, driven by real requests."""
