"""Serving engines as vLLM v1 schedules them, iteration by iteration, in arrays.

`layout` says where each number lies; `clock` how long a step or a stretch of them takes; `blocks`
who holds the cache; `schedule` what the next step does; `advance` plays steps in the order of time.
These modules are written in the part of Python that numba compiles (the extra `fast`); without it
the same code runs as it is.
"""
