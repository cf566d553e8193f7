"""The verb `simulate`: what each user sees when traffic meets a plan under a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from eke.calibrate.measured import Measured
from eke.errors import BadInput, EkeError
from eke.physics.scenarios import likely
from eke.planning import plan as planned
from eke.policy.naming import make
from eke.policy.protocol import Policy
from eke.simulation.deployment import Deployment, Settings, deployment
from eke.simulation.simulator import Progress, run
from eke.simulation.survey import Survey, survey
from eke.simulation.traffic import Traffic
from eke.simulation.traffic import traffic as traffic_of
from eke.simulation.traffic.changes import promised
from eke.simulation.watch import Watch
from eke.types.fleet import Fleet
from eke.types.goal import Planned
from eke.types.job import Serve
from eke.types.need import Infeasible
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.run import Run
from eke.verbs import check_fits, check_job, check_uses, fleet_of, values_of

EASIER = 12  # halvings of the rate until some layout of the chips carries it
AT_MOST = 128_000_000  # tokens of one context

MakePolicy = Callable[[], Policy]


def simulate(
    job: Serve,
    plan: Plan | None,
    fleet: Fleet | str,
    traffic: Traffic | str,
    policy: str | MakePolicy = "fcfs",
    *,
    seed: int = 0,
    watch: Watch | None = None,
    settings: Settings | None = None,
    measured: Sequence[Measured] = (),
    choices: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Run:
    """What happens to every request of a traffic.

    job: the model, and promises that hold for requests without their own; lengths and rate are
    those of the traffic.  plan: None lets eke lay out the whole fleet, with `choices` decided.
    policy: by name, as `eke.policy.naming` reads it, or a function that makes one.  watch: beside
    the traffic, such as failures.  settings: of the engines; None keeps prefixes where the traffic
    has any.  Raises EkeError for input that makes no sense.
    """
    coming = traffic if isinstance(traffic, Traffic) else traffic_of(traffic, seed=seed)
    coming = promised(coming, job.ttft.limit if job.ttft else None)
    seen = survey(coming)
    where, asked = fleet_of(fleet), job_of(job, seen)
    picked = plan or fill(asked, where, choices, measured)
    ready = deployed(asked, picked, where, seen, settings, measured)
    label = policy if isinstance(policy, str) else getattr(policy, "__name__", "policy")
    return run(
        ready,
        coming,
        policy_of(policy),
        watch or Watch(),
        label=label,
        seed=seed,
        progress=progress,
    )


def job_of(job: Serve, seen: Survey) -> Serve:
    """The job with what the traffic asks for."""
    check_job(job)
    if not isinstance(job, Serve):
        raise BadInput("only serving is simulated; give a Serve job.")
    kinds = {encoder.kind for encoder in job.model.encoders}
    return replace(
        job,
        rate=seen.peak,
        prompt=seen.prompt,
        answer=seen.answer,
        images=seen.images if "image" in kinds else 0.0,
        sound=seen.sound if "audio" in kinds else 0.0,
        tiers=(),
        reuse=0.0,
        pause=0.0,
    )


def deployed(
    job: Serve,
    plan: Plan,
    fleet: Fleet,
    seen: Survey,
    settings: Settings | None = None,
    measured: Sequence[Measured] = (),
) -> Deployment:
    """The replicas of a plan, as the traffic needs them."""
    check_fits(plan, job, fleet)
    check_uses(job, replace(plan, offload=False))
    if seen.longest > AT_MOST:
        raise BadInput(f"a request of {seen.longest:,} tokens; at most {AT_MOST:,} are simulated.")
    values = values_of(job, plan, fleet, measured)
    knobs = likely(values)
    longest = max(job.model.context or 0, 1024)
    how = settings or Settings(caching=seen.shares)
    ready = deployment(job, plan, fleet, knobs, how, min(longest, max(seen.longest, 1024)))
    kinds = Counter(each.kind for each in values.values())
    words = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return replace(ready, grounds=f"step times rest on the likeliest of {words} values")


def fill(
    job: Serve, fleet: Fleet, choices: Mapping[str, Any] | None, measured: Sequence[Measured] = ()
) -> Plan:
    """The layout that `eke plan` finds, with as many replicas as the fleet has chips for.

    Where no layout carries the traffic, the one that carries most of it; promises that cannot be
    kept are left to the simulation to show.
    """
    easier = replace(job, ttft=None, tpot=None)
    simple = {"pipeline": 1, **(choices or {})}  # stages are for models that need them
    for halving in range(EASIER):
        for said in (simple, choices or {}):
            asked = replace(easier, rate=job.rate / 2**halving)
            found = planned(asked, fleet, choices=said, measured=measured, disaggregate="never")
            if isinstance(found, Planned):
                return _all_of_it(found.need.plan, fleet, choices)
    assert isinstance(found, Infeasible)
    raise BadInput(f"no layout of {job.model.name} fits: {found.limit} is short. {found.hint}.")


def _all_of_it(plan: Plan, fleet: Fleet, choices: Mapping[str, Any] | None) -> Plan:
    if choices and choices.get("replicas"):
        return plan
    chips = next(pool.chips for pool in fleet.pools if pool.chip.id == plan.chip)
    return replace(plan, replicas=max(chips // plan.group, 1))


def policy_of(policy: str | MakePolicy) -> Policy:
    """The policy of a name, of "module:name", or of a function that makes it."""
    if not isinstance(policy, str):
        return policy()
    if ":" in policy.partition("(")[0] and not policy.startswith(":"):
        return _third_party(policy)
    return make(policy)


def _third_party(policy: str) -> Policy:
    module, _, name = policy.partition(":")
    try:
        made = getattr(import_module(module), name)()
    except EkeError:
        raise
    except Exception as error:
        raise BadInput(
            f"policy {policy!r:.80} cannot be made: {error}. It is MODULE:NAME of a class or a "
            "function without arguments that gives a policy, on the Python path."
        ) from None
    if not (hasattr(made, "on") and hasattr(made, "alarm") and hasattr(made, "hear_first")):
        raise BadInput(
            f"{policy!r:.80} has no on(event, now), alarm or hear_first; it is no policy."
        )
    return made  # type: ignore[no-any-return]
