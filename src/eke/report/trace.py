"""A timeline as a trace that Perfetto and chrome://tracing open: one track per stage."""

from __future__ import annotations

import json
from typing import Any

from eke.physics.schedule import Cut, Slot
from eke.physics.timeline import Timeline
from eke.units import show

PROCESS = 1
COLOURS = {  # names that chrome://tracing knows; Perfetto has colours of its own
    "forward": "rail_response",
    "backward": "rail_animation",
    "recomputation": "rail_load",
    "weight gradient": "good",
    "data exchange": "bad",
    "optimizer": "grey",
}


def trace_json(timeline: Timeline, command: str) -> str:
    """The trace as text, in the Trace Event Format. command: that made the plan."""
    left_out = [_left_out(timeline, cut) for cut in timeline.cuts]
    events = [*_tracks(timeline), *map(_event, timeline.slots), *left_out]
    trace = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": _about(timeline, command),
    }
    return json.dumps(trace, ensure_ascii=False, separators=(",", ":")) + "\n"


def _tracks(timeline: Timeline) -> list[dict[str, Any]]:
    """Names of the process and of its tracks, in the order of the pipeline."""
    name = f"{timeline.model}: {timeline.schedule}, {timeline.micro_batches:,} micro-batches"
    found = [_named("process_name", 0, {"name": name})]
    tracks = [f"stage {stage}" for stage in range(timeline.stages)]
    for track, words in enumerate([*tracks, "left out"] if timeline.cuts else tracks, start=1):
        found.append(_named("thread_name", track, {"name": words}))
        found.append(_named("thread_sort_index", track, {"sort_index": track}))
    return found


def _named(what: str, track: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": PROCESS, "tid": track, "args": arguments}


def _event(slot: Slot) -> dict[str, Any]:
    """One slot as a complete event; microseconds, to the nanosecond."""
    numbered = slot.micro_batch >= 0
    exchanges = slot.kind.endswith("exchange")
    return {
        "name": f"{slot.kind} {slot.micro_batch}" if numbered else slot.kind,
        "cat": "exchange" if exchanges else "computing",
        "ph": "X",
        **_between(slot.start, slot.end),
        "pid": PROCESS,
        "tid": slot.stage + 1,
        "cname": COLOURS.get(slot.kind, "terrible"),
        "args": {"micro_batch": slot.micro_batch, "chunk": slot.chunk} if numbered else {},
    }


def _between(start: float, end: float) -> dict[str, float]:
    """Both ends are rounded alike, so that what touches goes on touching and never overlaps."""
    first, last = round(start * 1e9), round(end * 1e9)
    return {"ts": first / 1e3, "dur": (last - first) / 1e3}


def _left_out(timeline: Timeline, cut: Cut) -> dict[str, Any]:
    """A piece that repeats what stands before it, on a track of its own."""
    return {
        "name": f"{cut.micro_batches:,} micro-batches alike, left out",
        "cat": "left out",
        "ph": "X",
        **_between(cut.start, cut.start + cut.length),
        "pid": PROCESS,
        "tid": timeline.stages + 1,
        "args": {"micro_batches": cut.micro_batches},
    }


def _about(timeline: Timeline, command: str) -> dict[str, str]:
    """What the trace is of, in words."""
    found = {
        "command": command,
        "model": timeline.model,
        "schedule": timeline.schedule,
        "step": show(timeline.length, "s", 5),
        "step by the closed form": show(timeline.closed, "s", 5),
        **{f"share of {kind}": f"{share:.2%}" for kind, share in timeline.shares.items()},
        **{f"note {i}": remark for i, remark in enumerate(timeline.remarks, start=1)},
    }
    for cut in timeline.cuts:
        till = f"{show(cut.start, 's', 5)} to {show(cut.start + cut.length, 's', 5)}"
        found[f"left out from {till}"] = f"{cut.micro_batches:,} micro-batches like those around"
    return found
