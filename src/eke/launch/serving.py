"""What every serving engine needs to know of a plan, and what none of them can do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from eke.errors import BadInput
from eke.launch.start import Start
from eke.physics.engine import asks
from eke.types.fleet import Pool
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import Record, defaults

ROUND = 1024  # longest requests are rounded up to whole multiples [tokens]
SIXTEEN = ("bf16", "fp16")
COMPUTES = {  # weights → formats an engine multiplies them in
    "fp32": ("fp32",),
    "bf16": SIXTEEN,
    "fp16": SIXTEEN,
    "fp8": ("fp8", *SIXTEEN),
    "int8": ("int8", *SIXTEEN),
    "int4": SIXTEEN,
    "fp4": ("fp4", *SIXTEEN),
}


class Extras(Record):
    """Adapters and offloading.

    adapters: how many low-rank adapters share the model, of rank `rank`; `slots` of them are in a
    chip's memory at once.  offload: keys and values of pausing conversations go to the host.
    """

    adapters: int = 0
    rank: int = 0
    slots: int = 0
    offload: bool = False


class Half(Record):
    """A plan that one kind of process runs: all of it, or the prefill or the decode part."""

    name: str
    plan: Plan
    pool: Pool
    role: str = ""  # "prefill" or "decode" where the plan is disaggregated

    @property
    def pages(self) -> int | None:
        """Tokens per page of the cache where the plan asks for it; None leaves the usual 16, or
        what the engine's own kernels want."""
        return self.plan.block if self.plan.block != defaults(self.plan)["block"] else None


def serve_job(start: Start, engine: str) -> Serve:
    """The job, if it is one that this engine does. Raises BadInput."""
    if not isinstance(start.job, Serve):
        kind = type(start.job).__name__.lower()
        raise BadInput(
            f"{engine} answers requests, and this is a job to {kind}; write it for a trainer."
        )
    return start.job


def halves(start: Start, engine: str) -> tuple[Half, ...]:
    """The plan as what is started: one part, or prefill and decode. Raises BadInput."""
    job, plan = serve_job(start, engine), start.plan
    if plan.prefill is None:
        found: tuple[Half, ...] = (Half(name=engine, plan=plan, pool=pool_of(start, plan)),)
    else:
        parts = (("prefill", plan.prefill), ("decode", plan))
        found = tuple(
            Half(name=role, plan=part, pool=pool_of(start, part), role=role) for role, part in parts
        )
    for half in found:
        refuse_what_nobody_does(half, job, engine)
    return found


def pool_of(start: Start, plan: Plan) -> Pool:
    """The pool a part takes its chips from. Raises BadInput where there is none."""
    found = next((pool for pool in start.fleet.pools if pool.chip.id == plan.chip), None)
    if found is None:
        there = ", ".join(pool.chip.id for pool in start.fleet.pools)
        raise BadInput(f"the plan runs on {plan.chip}, and the fleet has only {there}.")
    return found


def refuse_what_nobody_does(half: Half, job: Serve, engine: str) -> None:
    """Refuse what no serving engine can be told. Raises BadInput."""
    plan = half.plan
    switches = {"virtual": plan.virtual > 1, "stream": plan.stream, "sparse": plan.sparse}
    for name, on in (switches | {"padded": plan.padded}).items():
        if on:
            raise BadInput(f"{engine} cannot be told {name!r}, which the plan sets; plan without.")
    if not job.model.experts and plan.expert > 1:
        raise BadInput(f"expert is {plan.expert}, and {job.model.name} has no experts; leave it 1.")
    if job.confidential:
        raise BadInput(
            "confidential computing is set up on the host, not in the engine; plan without "
            "--confidential to write this configuration, and switch it on there."
        )


def longest(job: Serve, tail: bool = True) -> int:
    """The longest request and its answer that an engine has to take, rounded up [tokens].

    Of context tiers the longest; else what all but one of a thousand requests keep to, lengths
    being lognormal with the job's spread about its means. tail: False takes the means, for engines
    that hold room for the longest in every place. Raises BadInput beyond the model.
    """
    need = math.ceil(max(float(ask.longest) for ask in asks(job)))
    most = job.model.context
    if most and need > most:
        raise BadInput(
            f"the longest request takes {need:,} tokens and {job.model.name} was made for "
            f"{most:,}; shorten the longest context."
        )
    if tail and not job.tiers:
        variance = math.log1p(job.spread)
        need = math.ceil(need * math.exp(FEW * math.sqrt(variance) - variance / 2))
    rounded = -(-need // ROUND) * ROUND
    return min(rounded, most) if most else rounded


FEW = NormalDist().inv_cdf(0.999)  # standard deviations that one of a thousand exceeds


def extras(start: Start, plan: Plan) -> Extras:
    """Adapters and offloading. Adapters without slots are merged, each in a copy of the model of
    its own. Raises BadInput."""
    job = serve_job(start, "an engine")
    if job.adapters and not plan.adapter_slots:
        raise BadInput(
            f"the plan merges each of {job.adapters} adapters into a copy of its own, and one "
            "configuration starts copies of one checkpoint; plan with --adapter-slots, or merge "
            "them and plan each by itself."
        )
    slots = min(plan.adapter_slots, job.adapters)
    return Extras(adapters=job.adapters, rank=job.adapter_rank, slots=slots, offload=plan.offload)


def host_room(half: Half) -> float:
    """Host memory for offloaded keys and values, per replica [B]."""
    return half.pool.host_memory * half.plan.group


def drafting(start: Start, plan: Plan, engine: str) -> str:
    """How tokens are guessed: "" for not at all, "own" by the model's own extra blocks, "lookup"
    by looking the text up in the prompt. Raises BadInput where a draft model nobody names is
    needed."""
    if not plan.drafts:
        return ""
    model = start.job.model
    if model.drafts:
        return "own"
    if plan.draft_cost == 0:
        return "lookup"
    raise BadInput(
        f"the plan guesses {plan.drafts} tokens per step, each at {plan.draft_cost:g} of a step; "
        f"{model.name} has no blocks of its own for that, and {engine} would need a draft model. "
        "Plan with --drafts 0."
    )


def check_arithmetic(half: Half, engine: str) -> None:
    """Refuse a plan that multiplies in a format the engine would not use. Raises BadInput."""
    plan, able = half.plan, COMPUTES.get(half.plan.weights, ())
    narrow = plan.weights == "fp8" and "fp8" in half.pool.chip.peak
    if able and (plan.compute not in able or (narrow and plan.compute != "fp8")):
        usual = "fp8" if narrow else " or ".join(able)
        raise BadInput(
            f"the plan computes in {plan.compute} on {plan.weights} weights; {engine} computes in "
            f"{usual} there. Plan with --compute {usual.split()[0]}."
        )


def format_for(known: Mapping[str, str], width: str, what: str, engine: str) -> str:
    """The engine's own word for a number format. Raises BadInput with those it has."""
    if width not in known:
        raise BadInput(
            f"{engine} keeps no {what} in {width}; it takes {', '.join(known)}. Plan with --{what} "
            f"{next(iter(known))}."
        )
    return known[width]


def check_checkpoint(start: Start, plan: Plan, converts: tuple[str, ...]) -> None:
    """Refuse the maker's own checkpoint where it does not hold the plan's format.

    converts: formats that the engine makes of 16-bit weights while it loads them.
    Raises BadInput.
    """
    model = start.job.model
    held = _published(model)
    fits = plan.weights == held or (held == "bf16" and plan.weights in converts)
    if start.checkpoint == model.hub and not fits:
        raise BadInput(
            f"the plan keeps weights in {plan.weights}, and {start.checkpoint} holds "
            f"{model.weight_format}; give --checkpoint of a version in {plan.weights}, or plan "
            f"with --weights {held}."
        )


def _published(model: Model) -> str:
    """The format of the maker's checkpoint, 32 bits counting as the 16 that engines load."""
    return "bf16" if model.weight_format in ("fp32", *SIXTEEN) else model.weight_format


def named(checkpoint: str, *words: str) -> str:
    """The first of some words that the name of a checkpoint contains, else ""."""
    return next((word for word in words if word in checkpoint.lower()), "")


def expects(half: Half) -> str:
    """What a file expects of the machines it runs on, in one line."""
    plan = half.plan
    own = plan.group * plan.replicas
    degrees = (("tensor", plan.tensor), ("pipeline", plan.pipeline), ("context", plan.context))
    layout = [f"{name} {size}" for name, size in (*degrees, ("data", plan.data)) if size > 1]
    layout += [f"experts over {plan.expert}"] if plan.expert > 1 else []
    copies = "1 replica" if plan.replicas == 1 else f"{plan.replicas} replicas"
    role = f" for {half.role}" if half.role else ""
    shape = f" of {', '.join(layout)}" if layout else ""
    priced = f"; priced for {plan.engine}" if plan.engine else ""
    return f"{own} × {plan.chip}{role}: {copies}{shape}; weights in {plan.weights}{priced}."


def check_spread(half: Half, job: Serve, engine: str) -> None:
    """Refuse experts that are neither spread over nor cut by all ranks: engines make one group of
    them, in which no expert is there twice. Raises BadInput."""
    plan = half.plan
    ranks = plan.tensor * plan.context * plan.data
    cut = max(plan.tensor // plan.expert, 1)
    if job.model.experts and plan.expert * cut != ranks:
        raise BadInput(
            f"experts lie on {plan.expert * cut} of {ranks} ranks in the plan; {engine} has each "
            f"expert only once in a replica. Plan with --expert {ranks}."
        )


def check_vendor(half: Half, makers: dict[str, str], engine: str) -> None:
    """Refuse chips that the engine is not built for. makers: vendor → kind; llama.cpp also runs on
    every CPU. Raises BadInput."""
    chip = half.pool.chip
    if engine == "llama.cpp" and chip.kind == "cpu":
        return
    if makers.get(chip.vendor) != chip.kind:
        known = ", ".join(f"{maker} ({kind})" for maker, kind in makers.items())
        raise BadInput(
            f"eke writes {engine} for {known}; {chip.name} is of {chip.vendor} ({chip.kind}). Plan "
            "for other chips or write for another engine."
        )


def header(start: Start, *lines: str) -> tuple[str, ...]:
    """The comments on top of every file."""
    return (f"Written by: {start.command}", *lines)
