"""Who asks when for how much: traces read and traffic generated, as streams of requests."""

from __future__ import annotations

from eke.simulation.traffic.compose import composed
from eke.simulation.traffic.mix import mixed
from eke.simulation.traffic.noun import STRETCH, Skipped, Traffic
from eke.simulation.traffic.words import HELP, parts

__all__ = ["HELP", "STRETCH", "Skipped", "Traffic", "traffic"]


def traffic(text_or_path: str, *, seed: int = 0, skip_bad: bool = False) -> Traffic:
    """The traffic that a text describes, such as "chat, 20/s, 1h, diurnal" or the path of a trace.

    seed: of everything drawn; the same text and seed give the same bytes.
    skip_bad: bad rows of a trace are left out and counted in `Traffic.skipped`.
    Errors: BadInput for a word, BadFile for a file, naming row and column.
    """
    found = parts(str(text_or_path))
    return mixed(tuple(composed(part, i, seed, skip_bad) for i, part in enumerate(found)))
