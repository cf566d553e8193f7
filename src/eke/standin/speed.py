"""How fast an engine would be: a model on chips, laid out and priced by the physics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eke.errors import BadInput
from eke.standin.engine import Limits
from eke.standin.steps import Load, Steps, decode_time
from eke.types.fleet import Fleet
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import Record, replace

if TYPE_CHECKING:
    from eke.simulation.deployment import Deployment
    from eke.simulation.engine.build import Replica

ALONE = (1e-2, 1e-5)  # requests per second: one user at a time, on usual chips and on slow ones
ITEMS = 16  # images of one request that are priced one by one; more go in proportion


class Encoding(Record):
    """What an image or a second of sound is to the engine. tokens: in the prompt.  times: to encode
    0, 1, 2, … of them [s]."""

    tokens: float
    times: list[float]

    def time(self, count: float) -> float:
        """To encode so many [s]."""
        most = len(self.times) - 1
        return self.times[-1] * count / most if count > most else self.times[int(count)]


class Speed(Record):
    """One engine: what it runs, how long its steps take, what it holds.

    model: its id.  chips: which, in words.  context: of any request [tokens].  width: of its hidden
    states, and so of embeddings.  image, sound: None for a model without such an encoder.
    grounds: what the times rest on, in words.
    """

    model: str
    chips: str
    plan: Plan
    steps: Steps
    limits: Limits
    context: int
    width: int
    image: Encoding | None = None
    sound: Encoding | None = None
    grounds: str = ""


def speed(model: str, chips: str) -> Speed:
    """One engine on all the chips, laid out to answer a single user fastest.

    model, chips: words as `eke plan serve` takes them.  Raises EkeError for what makes no sense or
    does not fit.
    """
    from eke.asking import ask

    job, fleet, _ = ask("serve", {"model": model, "fleet": chips, "rate": ALONE[0]})
    assert isinstance(job, Serve)
    return _speed(job, fleet, _plan(job, fleet))


def _speed(job: Serve, fleet: Fleet, plan: Plan) -> Speed:
    """The engine of a plan."""
    from eke.simulating import deployed
    from eke.simulation.deployment import Settings
    from eke.simulation.survey import Survey

    seen = Survey(
        requests=1,
        seconds=1.0,
        rate=job.rate,
        peak=job.rate,
        prompt=job.prompt,
        answer=job.answer,
        longest=job.model.context,
        shares=True,
        images=0.0,
        sound=0.0,
    )
    ready = deployed(job, plan, fleet, seen, Settings(caching=True))
    replica = ready.halves[0].replica
    limits = limits_of(replica)
    return Speed(
        model=job.model.id,
        chips=f"{plan.group}x{plan.chip}",
        plan=plan,
        steps=steps_of(replica),
        limits=limits,
        context=min(ready.longest, limits.blocks * limits.block),
        width=job.model.hidden,
        image=_encoding(ready, "image"),
        sound=_encoding(ready, "audio"),
        grounds=ready.grounds,
    )


def _plan(job: Serve, fleet: Fleet) -> Plan:
    """The layout of all the chips that gives a lonely user the next token soonest, with the
    engine's own settings; a pipeline only where nothing fits without."""
    from eke.planning import plan as planned
    from eke.search.base import base_plan
    from eke.types.goal import Goal, Planned
    from eke.types.need import Infeasible

    if len(fleet.pools) > 1:
        raise BadInput("a stand-in is one engine on one kind of chips; start one for each engine.")
    usual = base_plan(job, fleet.pools[0], {})
    own = {"batch": usual.batch, "token_budget": usual.token_budget, "replicas": 1}
    for rate in ALONE:
        for said in ({"pipeline": 1, **own}, own):
            slow = replace(job, rate=rate)
            found = planned(slow, fleet, Goal(least="tpot"), choices=said, disaggregate="never")
            if isinstance(found, Planned):
                return found.need.plan
    assert isinstance(found, Infeasible)
    raise BadInput(f"no layout of {job.model.name} fits: {found.limit} is short. {found.hint}.")


def steps_of(replica: Replica) -> Steps:
    """The tables of a replica as lists."""
    table = replica.step
    lists = ("base", "tensor", "expert", "other", "logits", "lengths", "decode", "new", "cached")
    numbers = ("own", "sequence", "factor", "overlap_tensor", "overlap_expert", "ranks", "stages")
    return Steps(
        **{name: getattr(table, name).tolist() for name in (*lists, "chunk")},
        **{name: getattr(table, name) for name in numbers},
        places=replica.most,
        padded=replica.padded,
        drafts=replica.drafts,
        emitted=replica.emitted,
    )


def limits_of(replica: Replica) -> Limits:
    """What a replica holds."""
    return Limits(
        places=replica.most,
        budget=replica.budget * replica.step.ranks,
        blocks=replica.blocks,
        block=replica.block,
        caching=replica.caching,
        ordered=replica.ordered,
    )


def _encoding(ready: Deployment, kind: str) -> Encoding | None:
    """What an image, or a second of sound, is to the engine."""
    from numpy import arange

    from eke.physics.engine import asks

    if not any(encoder.kind == kind for encoder in ready.job.model.encoders):
        return None
    many = arange(ITEMS + 1.0)
    image = kind == "image"
    times = ready.encoding(many, 0 * many) if image else ready.encoding(0 * many, many)
    one = {"images": 1.0, "sound": 0.0} if image else {"images": 0.0, "sound": 1.0}
    none = replace(ready.job, images=0.0, sound=0.0)
    tokens = asks(replace(none, **one))[0].new - asks(none)[0].new
    return Encoding(tokens=float(tokens), times=times.tolist())


def words(speed: Speed) -> str:
    """The engine in a sentence, for people who start it."""
    plan, limits = speed.plan, speed.limits
    parts = ("tensor", "pipeline", "data", "expert")
    degrees = [f"{name} {getattr(plan, name)}" for name in parts if getattr(plan, name) > 1]
    layout = ", ".join([*degrees, f"{plan.weights} weights"])
    alone = decode_time(speed.steps, Load(decoding=1, context=1000))
    return (
        f"{speed.model} on {speed.chips} ({layout}): a token every {alone * 1e3:.3g} ms for one "
        f"user, {limits.places:,} places, a cache of {limits.blocks * limits.block:,} tokens"
    )
