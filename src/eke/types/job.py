"""What is wanted of the chips."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, Literal

from eke.errors import BadInput
from eke.types.model import Model
from eke.types.record import Record


class Promise(Record):
    """`limit` is kept for the share `percentile` of requests: 0.5 s at 0.99."""

    limit: float  # [s]
    percentile: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.limit < 1e30:
            raise BadInput(f"a promised time is {self.limit:g} s; it must be finite, above zero.")
        if not 0 < self.percentile < 1:
            raise BadInput(f"percentile is {self.percentile}: a share between 0 and 1, as 0.99.")


class Tier(Record):
    """A share of users, by requests, who may use a context this long [tokens]."""

    context: int
    share: float

    def __post_init__(self) -> None:
        positive(self, "context")
        if not 0 <= self.share <= 1:
            raise BadInput(f"a context tier's share is {self.share:g}: between 0 and 1, as 2 %.")


class Train(Record, tag="train", tag_field="job"):
    """Train a model from nothing.

    sequence: length of one training sequence [tokens].  batch: global batch [tokens].
    within: deadline [s].  None lets eke choose, and the answer says what it chose.
    """

    model: Model
    tokens: float
    sequence: int | None = None
    batch: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        positive(self, "tokens", "sequence", "batch", "within")
        no_batch_beyond(self, self.tokens)


class Tune(Record, tag="tune", tag_field="job"):
    """Fine-tune an existing model.

    method: "full" changes every weight; "lora" trains factors of `rank` beside frozen weights;
    "qlora" keeps those in 4 bits.  objective: supervised ("sft"), a reward model from pairs
    ("reward"), or direct preference optimisation ("dpo").  tokens: per epoch, of all examples.
    """

    model: Model
    tokens: float
    method: Literal["full", "lora", "qlora"] = "full"
    rank: int = 16
    objective: Literal["sft", "reward", "dpo"] = "sft"
    epochs: float = 1.0
    sequence: int | None = None
    batch: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        positive(self, "tokens", "rank", "epochs", "sequence", "batch", "within")
        no_batch_beyond(self, self.tokens * self.epochs)


class Align(Record, tag="align", tag_field="job"):
    """Align a model with feedback.

    method: "ppo" has four models (policy, reference, reward, critic), "grpo" no critic but
    `samples` answers per prompt (8 where not said), "dpo" learns from pairs without generating.
    prompt, answer: mean lengths [tokens].  longest: the longest answer of an iteration, for which
    the others wait; None where all are alike [tokens].  epochs: passes over each batch of rollouts.
    feedback: who judged the pairs the reward model (or DPO) learns from; `labels` pairs (None: all
    prompts for DPO, 50,000 for a reward model), at `label_price` each when people do it [USD], or
    by the model `judge` when an AI does.
    split: share of the chips that only generate (disaggregated); None takes turns on all.
    """

    model: Model
    method: Literal["ppo", "grpo", "dpo"] = "ppo"
    prompts: float = 100_000
    prompt: float = 512
    answer: float = 512
    longest: float | None = None
    samples: int | None = None
    epochs: float = 1.0
    reward_model: Model | None = None
    feedback: Literal["human", "ai", "rule"] = "human"
    labels: float | None = None
    label_price: float | None = None
    judge: Model | None = None
    batch: float = 512  # prompts per iteration
    split: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        positive(self, "prompts", "prompt", "answer", "longest", "samples", "epochs", "batch")
        positive(self, "within")
        one_or_more(self, "prompt", "answer")
        zero_or_more(self, "labels", "label_price")
        if self.split is not None and not 0 < self.split < 1:
            raise BadInput(f"split is {self.split}: a share between 0 and 1 of the chips.")
        if self.longest is not None and self.longest < self.answer:
            raise BadInput(f"longest is {self.longest:g}, below the mean answer {self.answer:g}.")
        if self.method == "grpo" and self.samples == 1:
            raise BadInput("samples is 1; GRPO compares the answers to a prompt: give 2 or more.")

    @property
    def answers_each(self) -> int:
        """Answers per prompt."""
        return self.samples or (8 if self.method == "grpo" else 1)

    @property
    def pairs(self) -> float:
        """Pairs that somebody judged."""
        if self.labels is not None:
            return self.labels
        return self.prompts if self.method == "dpo" else 50_000.0


class Serve(Record, tag="serve", tag_field="job"):
    """Answer requests.

    rate: requests per second at the peak [1/s].  prompt, answer: mean lengths [tokens].
    spread: squared coefficient of variation of the work per request.
    reuse: share of prompt tokens whose keys and values are still cached.
    pause: mean time between the turns of a conversation, for which they are kept [s].
    adapters: fine-tunes of the model asked for equally often, as low-rank factors of
    `adapter_rank`; 0 is the model itself.
    images: per request.  sound: seconds of speech per request [s].
    tiers: who may use how long a context; every tier's share of requests fills its context.
    """

    model: Model
    rate: float = 1.0
    prompt: float = 1000
    answer: float = 300
    spread: float = 1.0
    reuse: float = 0.0
    pause: float = 0.0
    adapters: int = 0
    adapter_rank: int = 16
    images: float = 0.0
    sound: float = 0.0
    ttft: Promise | None = None
    tpot: Promise | None = None
    tiers: tuple[Tier, ...] = ()
    confidential: bool = False
    utilisation: float = 0.8  # largest share of the throughput one plans with

    def __post_init__(self) -> None:
        positive(self, "rate", "prompt", "answer", "utilisation")
        one_or_more(self, "prompt", "answer")
        zero_or_more(self, "reuse", "images", "sound", "spread", "pause", "adapters")
        positive(self, "adapter_rank")
        if self.reuse > 1 or self.utilisation > 1:
            raise BadInput("reuse and utilisation are shares between 0 and 1.")
        for what, given in (("image", self.images), ("audio", self.sound)):
            nothing = _all(given, lambda x: x == 0)
            if not nothing and all(encoder.kind != what for encoder in self.model.encoders):
                raise BadInput(
                    f"{self.model.name} takes no {_SENSES[what]}; drop --{_SENSES[what]}."
                )
        if self.pause and not self.reuse:
            raise BadInput(
                f"pause is {self.pause:g} s, but reuse is 0, so nothing is kept meanwhile; give "
                "the share of a prompt that is, such as --reuse 60%."
            )
        for name in ("adapters", "adapter_rank"):
            if not isinstance(getattr(self, name), int):
                raise BadInput(f"{name} is {getattr(self, name)!r}; it must be a whole number.")
        if self.adapters and self.adapter_rank > self.model.hidden:
            raise BadInput(
                f"adapter_rank is {self.adapter_rank}, above the width {self.model.hidden} of "
                f"{self.model.name}; factors are of low rank, such as 16."
            )
        if self.tiers and abs(sum(tier.share for tier in self.tiers) - 1) > 1e-6:
            raise BadInput("the shares of the context tiers must add up to 100 %.")


Job = Train | Tune | Align | Serve
_SENSES = {"image": "images", "audio": "sound"}


def positive(record: Record, *names: str) -> None:
    """Refuse fields that are set but not above zero (NaN included)."""
    for name in names:
        value = getattr(record, name)
        if value is not None and not _all(value, lambda x: (x > 0) & (x < 1e30)):
            raise BadInput(f"{name} is {value!r}; it must be a finite number above zero.")


def one_or_more(record: Record, *names: str) -> None:
    """Refuse lengths below one token."""
    for name in names:
        if not _all(getattr(record, name), lambda x: x >= 1):
            raise BadInput(f"{name} is {getattr(record, name)}; it must be one token or more.")


def no_batch_beyond(job: Train | Tune, tokens: float) -> None:
    """Refuse a batch of more tokens than there are to learn from."""
    if job.batch is not None and job.batch > tokens:
        raise BadInput(f"batch is {job.batch:g} tokens; there are only {tokens:g} to learn from.")


def zero_or_more(record: Record, *names: str) -> None:
    """Refuse fields that are set but negative, endless or NaN."""
    for name in names:
        value = getattr(record, name)
        if value is not None and not _all(value, lambda x: (x >= 0) & (x < 1e30)):
            raise BadInput(f"{name} is {value!r}; it must be a finite number, zero or more.")


def _all(value: Any, holds: Callable[[Any], Any]) -> bool:
    """Whether a number, or every element of an array, is one and holds."""
    if hasattr(value, "ndim"):
        return bool(holds(value).all())
    return isinstance(value, Real) and not isinstance(value, bool) and bool(holds(value))
