"""What happened, one row per request: the same from the simulator and from the gateway."""

from __future__ import annotations

from typing import Any

from eke.types.record import Record

# How a request ended, in the order of their codes.
OUTCOMES = ("waiting", "running", "finished", "refused", "stopped", "failed")
WAITING, RUNNING, FINISHED, REFUSED, STOPPED, FAILED = range(len(OUTCOMES))

# Columns of requests: name → (NumPy type, unit, what it is). NaN where it never happened.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "arrived": ("f8", "s", "when it came"),
    "started": ("f8", "s", "when the policy last handed it to an engine"),
    "scheduled": ("f8", "s", "when an engine first took it into a step"),
    "first": ("f8", "s", "when its first token was there"),
    "finished": ("f8", "s", "when its last token was there, or it was refused, stopped or lost"),
    "prompt": ("i4", "token", "length of the prompt"),
    "answer": ("i4", "token", "length of the answer asked for"),
    "most": ("i4", "token", "longest answer allowed, as policies are told"),
    "tokens": ("i4", "token", "length of the answer given"),
    "cached": ("i4", "token", "of the prompt, already in the cache when it was taken in"),
    "tenant": ("i4", "", "code into names['tenant']"),
    "kind": ("i4", "", "code into names['kind']"),
    "priority": ("i4", "", "class; lower goes first"),
    "replica": ("i4", "", "which took it last; -1 for none"),
    "outcome": ("i1", "", "code into OUTCOMES"),
    "reason": ("i2", "", "why refused or stopped: code into names['reason']"),
    "preempted": ("i2", "", "how often it lost its place for want of memory"),
    "session": ("i8", "", "conversation; -1 for none"),
    "ttft": ("f4", "s", "promised time to first token; inf for none"),
    "deadline": ("f4", "s", "promised time to last token; inf for none"),
}

# Columns of the engines' timeline: one row per replica and sample.
TIMELINE: dict[str, tuple[str, str, str]] = {
    "time": ("f8", "s", "of the sample"),
    "replica": ("i4", "", "which"),
    "running": ("i4", "", "sequences in flight"),
    "waiting": ("i4", "", "sequences in the engine's own queue"),
    "queued": ("i4", "", "requests the policy holds back, of all replicas together"),
    "cache": ("f4", "1", "share of the cache that running sequences hold"),
    "busy": ("f4", "1", "share of the time since the last sample with work to do"),
    "tokens": ("f8", "token", "of answers given since the last sample"),
    "alive": ("i1", "", "1 while it takes requests"),
}


class Run(Record):
    """What happened to every request.

    label: policy or layout it stands for.  seed: of everything drawn.  end: when watching ended
    [s].  requests: column name → array, as COLUMNS says.  timeline: as TIMELINE says.
    names: what the codes of "tenant", "kind" and "reason" stand for.
    facts: what the run rests on and what it took, such as chips, energy [J] and cost [USD], by
    name.  source: "simulated", or the gateway it comes from.  remarks: what was assumed, in words.
    """

    label: str
    end: float
    requests: dict[str, Any]
    names: dict[str, tuple[str, ...]]
    timeline: dict[str, Any] = {}
    seed: int = 0
    facts: dict[str, float] = {}
    source: str = "simulated"
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.requests["arrived"])
