"""Promises held in front of live engines, by the policies of the simulator."""
