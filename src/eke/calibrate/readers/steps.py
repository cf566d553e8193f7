"""Steps of a training log, and what holds once it runs steadily."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

from eke.calibrate.readers.run import Reading
from eke.errors import BadFile

MOST_DROPPED = 10  # steps; kernels are tuned, caches filled and graphs captured by then


def dropped(steps: int) -> int:
    """Steps left out at the start: a fifth, from 1 to MOST_DROPPED; none of a single one."""
    return min(MOST_DROPPED, max(1, steps // 5)) if steps > 1 else 0


def steady(metric: str, values: Iterable[float | None], where: str, scale: float = 1.0) -> Reading:
    """The median after the first steps, saying of how many. 0 where there is no value.

    Raises BadFile for a number no step can have.
    """
    found = [each for each in values if each is not None]
    for each in found:
        if not math.isfinite(each) or each < 0:
            raise BadFile(
                f"{where}: a step has {metric} {each}; it must be finite and not negative."
            )
    kept = found[dropped(len(found)) :]
    if not kept:
        return Reading(metric=metric, value=0.0)
    note = f"median of {len(kept)} logged steps, the first {len(found) - len(kept)} dropped"
    if len(found) == 1:
        note = "one logged step, warm-up included"
    return Reading(metric=metric, value=median(kept) * scale, note=note)
