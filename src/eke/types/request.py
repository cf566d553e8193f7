"""One ask, as a policy or a gateway sees it before it is answered."""

from __future__ import annotations

from eke.types.record import Message


class Request(Message):
    """What is known when it arrives; how long the answer will be is not.

    id: its number, unique in a run.  arrived: when [s].  prompt: its length [tokens].
    likely: forecast of the answer's length [tokens].  most: longest answer allowed [tokens].
    tenant: whose it is.  kind: what it is for ("chat", "batch", "tune", …).
    priority: class, lower goes first, as in vLLM.
    ttft: promised time to first token, from its arrival [s].  deadline: promised time to the last
    token, from its arrival [s].  session: conversation it belongs to.  stem: key of the head of
    the prompt that other requests share.  work: of a job that takes a whole replica, such as
    fine-tuning [s].  alone: prompt of the longest of its sequences, where it has several [tokens].
    """

    id: int
    arrived: float
    prompt: int
    likely: float
    most: int
    tenant: str = ""
    kind: str = "chat"
    priority: int = 0
    ttft: float | None = None
    deadline: float | None = None
    session: int | None = None
    stem: int | None = None
    work: float = 0.0
    alone: int = 0
