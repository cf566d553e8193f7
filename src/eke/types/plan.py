"""How a job is laid out on chips."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

from eke.errors import BadInput
from eke.types.record import Record, fields, replace

Width = (
    Literal["fp32", "bf16", "fp16", "fp8", "int8", "fp6", "fp4", "int4"]
    | Literal["q8_0", "q6_k", "q5_k", "q4_k", "q4_0", "q3_k", "q2_k"]
)
BYTES: dict[str, float] = {  # per number, with the scales that block formats carry
    "fp32": 4.0,
    "tf32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5 + 1 / 16,  # one 8-bit scale per 16 numbers (NVFP4)
    "int4": 0.5 + 2 / 128,  # one 16-bit scale per 128 numbers (GPTQ, AWQ)
    "fp6": 0.75,
    "q8_0": 8.5
    / 8,  # GGUF: blocks of 32 or 256 numbers with their scales; mean over the tensors of
    "q6_k": 6.56 / 8,  # the usual mixtures, from llama.cpp's table of quantisations
    "q5_k": 5.69 / 8,
    "q4_k": 4.85 / 8,
    "q4_0": 4.5 / 8,
    "q3_k": 3.91 / 8,
    "q2_k": 3.35 / 8,
}
DEGREES = ("tensor", "pipeline", "virtual", "context", "expert", "data", "replicas")
Recompute = Literal["none", "selective", "full"]
Schedule = Literal["1f1b", "interleaved", "zero-bubble", "gpipe"]
WHOLE_STAGES = ("gpipe", "zero-bubble")  # schedules without virtual stages
Optimizer = Literal["adam", "adam-8bit", "muon", "adafactor", "sgd"]


class Plan(Record):
    """One layout. Whole chips: tensor × pipeline × context × data × replicas.

    tensor, pipeline, context, expert, data: parallel degrees.  virtual: stages per pipeline rank.
    expert: chips over which the routed experts are spread; it reuses tensor and data ranks.
    data: for training, all data-parallel ranks; for serving, ranks of one replica that share
    experts.  replicas: independent copies.  shard: ZeRO stage, 3 is FSDP.
    shard_ranks: data-parallel ranks over which FSDP spreads one copy; 0 is all of them.
    batch: training, sequences per step; serving, sequences in flight per replica.
    token_budget: most tokens of one engine step.  block: tokens per page of the cache.
    drafts: tokens guessed per step, kept with probability `acceptance` each.
    padded: every step computes all `batch` places, taken or not.
    engine: what runs it, an id of engines.toml; "" is any.
    offload: what conversations keep between their turns lies in the host's memory.
    adapter_slots: fine-tunes resident on a replica, which serves several of them at once; 0 gives
    each a merged copy of the model, on replicas of its own.
    prefill: a disaggregated plan's other half; this half then only decodes.
    stream: weights and optimizer state stay in the chip's external memory and stream through.
    """

    chip: str
    tensor: int = 1
    sequence: bool = True  # with tensor parallelism, norms split over the sequence
    pipeline: int = 1
    virtual: int = 1
    context: int = 1
    expert: int = 1
    data: int = 1
    replicas: int = 1
    shard: Literal[0, 1, 2, 3] = 0
    shard_ranks: int = 0
    micro_batch: int = 1
    batch: int = 1
    recompute: Recompute = "selective"
    schedule: Schedule = "1f1b"
    optimizer: Optimizer = "adam"
    compute: Width = "bf16"
    weights: Width = "bf16"
    cache: Width = "bf16"
    gradients: Width = "fp32"
    sparse: bool = False  # 2:4 structured sparsity
    token_budget: int = 8192
    block: int = 16
    drafts: int = 0
    acceptance: float = 0.7
    stream: bool = False
    draft_cost: float = 0.1  # time of a draft step over a step of the model itself
    padded: bool = False
    offload: bool = False
    adapter_slots: int = 0
    engine: str = ""
    prefill: Plan | None = None

    @property
    def group(self) -> int:
        """Chips that hold one copy of the model's work: one replica."""
        return self.tensor * self.pipeline * self.context * self.data

    @property
    def chips(self) -> int:
        """All chips, the prefill half included."""
        own = self.group * self.replicas
        return own + (self.prefill.chips if self.prefill is not None else 0)


NUMBERS = (*DEGREES, "micro_batch", "batch", "token_budget", "block")
COUNTS = (*NUMBERS, "drafts", "adapter_slots")  # those that may be 0 included


def check_plan(plan: Plan) -> None:
    """Refuse degrees below one and combinations that mean nothing. Raises BadInput."""
    for name in NUMBERS:
        value = getattr(plan, name)
        if not isinstance(value, int) or value < 1:
            raise BadInput(f"{name} is {value!r}; it must be a whole number from 1 up.")
    for name in ("weights", "compute", "cache", "gradients"):
        if getattr(plan, name) not in BYTES:
            known = ", ".join(BYTES)
            raise BadInput(f"{name} is {getattr(plan, name)!r}; expected one of {known}.")
    if not isinstance(plan.adapter_slots, int) or plan.adapter_slots < 0:
        raise BadInput(
            f"adapter_slots is {plan.adapter_slots!r}; it must be a whole number: of fine-tunes "
            "resident on a replica, or 0 for a merged copy of each."
        )
    if plan.drafts < 0 or not 0 <= plan.acceptance <= 1:
        raise BadInput("drafts must be 0 or more and acceptance a share between 0 and 1.")
    if (plan.tensor * plan.data * plan.context) % plan.expert:
        raise BadInput(
            f"expert is {plan.expert}; it reuses tensor × context × data ranks "
            f"({plan.tensor} × {plan.context} × {plan.data}) and must divide their product."
        )
    if plan.virtual > 1 and plan.pipeline == 1:
        raise BadInput(f"virtual is {plan.virtual}, but there is no pipeline to interleave.")
    if plan.virtual > 1 and plan.schedule in WHOLE_STAGES:
        raise BadInput(
            f"virtual is {plan.virtual}, but {plan.schedule} has one stage per rank; only 1f1b and "
            "interleaved schedules divide it."
        )
    if plan.prefill is not None:
        check_plan(plan.prefill)


class Plans(Record):
    """Many plans at once: whole numbers are arrays that broadcast, choices are shared by all.

    Field names are those of `Plan`, so that the same wiring prices one plan or a million. Where
    layouts stand along one axis and copies along another, what depends on the layout alone is
    worked out once per layout. prefill: the other halves of disaggregated plans, as `Plans`.
    """

    base: Plan
    tensor: Any = 1
    pipeline: Any = 1
    virtual: Any = 1
    context: Any = 1
    expert: Any = 1
    data: Any = 1
    replicas: Any = 1
    micro_batch: Any = 1
    batch: Any = 1
    token_budget: Any = 8192
    block: Any = 16
    drafts: Any = 0
    adapter_slots: Any = 0
    prefill: Any = None

    def __getattr__(self, name: str) -> Any:
        """What all plans of the block share comes from `base`."""
        return getattr(self.base, name)

    @property
    def group(self) -> Any:
        """Chips of one replica, per plan."""
        return self.tensor * self.pipeline * self.context * self.data

    @property
    def chips(self) -> Any:
        """All chips, per plan, the prefill half included."""
        half = self.prefill
        return self.group * self.replicas + (half.chips if half is not None else 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the arrays, once broadcast."""
        import numpy as np

        half = self.prefill.shape if isinstance(self.prefill, Plans) else ()
        return np.broadcast_shapes(half, *(np.shape(getattr(self, name)) for name in COUNTS))

    def __len__(self) -> int:
        return prod(self.shape)

    def __getitem__(self, index: int) -> Plan:
        """One of them, counted along the broadcast arrays."""
        import numpy as np

        return self._at(np.unravel_index(index, self.shape))

    def take(self, those: Any) -> Plans:
        """The plans that an index array or a mask over the flattened block picks."""
        return self._taken(those, self.shape)

    def _taken(self, those: Any, shape: tuple[int, ...]) -> Plans:
        import numpy as np

        picked = {
            name: np.broadcast_to(getattr(self, name), shape).ravel()[those]
            for name in COUNTS
            if np.ndim(getattr(self, name))
        }
        half = self.prefill
        return replace(
            self, **picked, prefill=half._taken(those, shape) if isinstance(half, Plans) else half
        )

    def _at(self, place: Any) -> Plan:
        picked = {name: _pick(getattr(self, name), place) for name in COUNTS}
        half = self.prefill._at(place) if isinstance(self.prefill, Plans) else self.prefill
        return Plan(**(fields(self.base) | picked | {"prefill": half}))


def _pick(value: Any, place: Any) -> int:
    """One whole number out of an array, or the number all share."""
    sizes = getattr(value, "shape", ())
    if not sizes:
        return int(value)
    own = place[len(place) - len(sizes) :]
    return int(value[tuple(0 if size == 1 else int(i) for size, i in zip(sizes, own, strict=True))])
