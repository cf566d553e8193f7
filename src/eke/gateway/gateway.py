"""The gateway: its engines and desks, and what it knows of models and tenants."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from eke.gateway.clock import Clock
from eke.gateway.desk import Desk
from eke.gateway.engines.engine import UNBOUNDED, Engine
from eke.gateway.keeping import Keeper, Presence
from eke.gateway.ledger import Ledger
from eke.gateway.lengths import Lengths
from eke.gateway.recording import Record, Recorder
from eke.gateway.row import Row
from eke.gateway.settings import EngineSettings, ModelSettings, Settings, Tenant
from eke.gateway.shares import Shares, check, shares_of, tell_dropped
from eke.gateway.state.state import State
from eke.gateway.tenants import Tenants
from eke.policy.naming import make, steps_to
from eke.policy.protocol import Policy

LOOKED_AT = 1000  # requests of a desk whose tenants are told to other gateways

T = TypeVar("T")
Write = Callable[[Row], None]

if TYPE_CHECKING:
    from eke.gateway.membership import Membership
    from eke.gateway.seeing.traces import Traces


class Gateway:
    """Everything that requests need on their way, in one process.

    open_calls: requests at hand.  held: bytes of prompts that are not sent yet.
    mark: in the numbers of its requests, of this start alone.  engines: by number.  desks: by model
    as clients name it; models with the same engines share one.  errors: that clients were told, by
    status and code.  keeper: of what outlives this process; None keeps nothing.  write: is given a
    row for each request that is over.  closing, ended: nobody new is answered, and nothing is tried
    again.  Raises BadInput.
    """

    def __init__(
        self,
        settings: Settings,
        loop: AbstractEventLoop,
        clock: Clock | None = None,
        keeper: Keeper | None = None,
        record: Recorder | None = None,
        write: Write | None = None,
    ) -> None:
        check(settings.policy, settings.tenants)
        self.settings, self.loop = settings, loop
        self.clock = clock or Clock()
        self.mark = f"{int(self.clock.wall(0.0)):x}{token_hex(4)}"
        self.keeper, self.record = keeper, record
        self.write = write or (keeper.write if keeper else lambda row: None)
        self.members: tuple[Tenant, ...] = ()
        self.keyed = False  # whether anybody was given a key by the administration, good or not
        self.membership: Membership | None = None
        self.traces: Traces | None = None
        self.tenants = Tenants((), settings.open)
        self._know_tenants()
        self.ledger = Ledger(keeper)
        self.models = {model.name: model for model in settings.models}
        self.lengths: dict[str, Lengths] = {}
        self.engines: dict[int, Engine] = {}
        self.desks: dict[str, Desk] = {}
        self.errors: Counter[tuple[str, str]] = Counter()
        self._ones: dict[Any, Any] = {}
        self.open_calls = self.held = 0
        self.closing = self.ended = False
        self._number = self._engines = self._made = 0
        self._retired: WeakSet[Desk] = WeakSet()
        for each in settings.engines:
            self.add_engine(each)

    @property
    def state(self) -> State | None:
        """Where texts, files and work are kept; None for nowhere."""
        return self.keeper.state if self.keeper else None

    def one(self, kind: Callable[[Gateway], T]) -> T:
        """What there is one of for a gateway, made when it is first asked for."""
        found: T | None = self._ones.get(kind)
        if found is None:
            found = self._ones[kind] = kind(self)
        return found

    def number(self) -> int:
        """Of the next request."""
        self._number += 1
        return self._number - 1

    def request_id(self, number: int) -> str:
        """What clients are told of a request's number: no other gateway's, and no other start's."""
        return f"req_{self.mark}_{number:x}"

    def model(self, name: str) -> ModelSettings:
        """What is said of a model."""
        return self.models.get(name) or ModelSettings(name=name)

    def lengths_of(self, model: str) -> Lengths:
        """Forecasts for a model."""
        found = self.lengths.get(model)
        if found is None:
            found = self.lengths[model] = Lengths()
        return found

    def context(self, tenant: Tenant, model: str) -> float:
        """Longest prompt and answer of a tenant's requests to a model [tokens]."""
        return min(self._context_tier(tenant), self.model_context(model))

    def model_context(self, model: str) -> float:
        """Longest prompt and answer that some engine takes for a model [tokens]."""
        said = self.models.get(model)
        if said is not None and said.context is not None:
            return said.context
        longest = [each.longest for each in self.engines.values() if model in each.models]
        found = max(longest, default=UNBOUNDED)
        return inf if found >= UNBOUNDED else found

    def names(self) -> list[str]:
        """Models that some engine serves, as clients name them."""
        return sorted({name for engine in self.engines.values() for name in engine.models})

    def add_engine(self, settings: EngineSettings) -> Engine:
        """One more engine; it takes requests when it was looked at, and who asks for a model that
        it is said to have waits for that."""
        number, self._engines = self._engines, self._engines + 1
        engine = Engine(number, settings, self.settings.patience, self.clock.now())
        self.engines[number] = engine
        if engine.models:
            self.found_models()
        return engine

    def remove_engine(self, engine: Engine) -> None:
        """One engine less; nothing is on it any more."""
        self.report(engine)
        del self.engines[engine.number]
        for desk in self._known_desks():
            desk.drop(engine.number)
        engine.wire.close()
        self.found_models()

    def take_over(self, settings: Settings, members: tuple[Tenant, ...]) -> bool:
        """Other settings and tenants from now on; whether the policy was begun anew for them."""
        before = self._rules()
        self.settings, self.members = settings, members
        self.models = {model.name: model for model in settings.models}
        self._know_tenants()
        anew = before != self._rules()
        for desk in self.all_desks() if anew else ():
            desk.swap(own=True)
        self.found_models()
        return anew

    def _rules(self) -> tuple[object, ...]:
        """What a policy is made from."""
        smaller = {model.name: model.smaller for model in self.models.values() if model.smaller}
        return self.settings.policy, self.shares(), smaller

    def _know_tenants(self) -> None:
        said, before = self.settings, self.tenants
        self.tenants = Tenants(said.tenants, said.open, self.members, self.keyed)
        self.tenants.used = before.used
        tell_dropped(said.policy, self.tenants.by_name.values())

    def shares(self) -> Shares:
        """What the policy is told of tenants: their weights, floors and ceilings."""
        return shares_of(self.settings.policy, self.tenants.by_name.values())

    def found_models(self) -> None:
        """Engines said what they serve, or are others: give each set of models with the same
        engines a desk, and none to models that no engine serves, or may serve."""
        groups: dict[tuple[tuple[int, str], ...], list[str]] = {}
        for name in self.names():
            groups.setdefault(tuple(sorted(self._serving(name).items())), []).append(name)
        before = set(self.desks.values())
        if all(each.ready or each.settings.models is not None for each in self.engines.values()):
            self.desks = {name: self.desks[name] for name in self.names() if name in self.desks}
        for group, names in groups.items():
            serves = dict(group)
            desk = next(self._fitting(serves, names), None) or self._desk(names[0])
            desk.take_in({number: self.engines[number] for number in serves}, serves)
            self.desks |= dict.fromkeys(names, desk)
        for desk in before.difference(self.desks.values()):
            desk.retired = True
            self._retired.add(desk)
        self._share_out()

    def _serving(self, name: str) -> dict[int, str]:
        """Engines of a model, by number, with "", and of a smaller one, with its name, where the
        policy knows when to go down to it."""
        smaller, found = self.model(name).smaller, dict[int, str]()
        if smaller and steps_to(self.settings.policy, smaller):
            found = {n: smaller for n, each in self.engines.items() if smaller in each.models}
        return found | {n: "" for n, each in self.engines.items() if name in each.models}

    def _fitting(self, serves: dict[int, str], names: list[str]) -> Iterator[Desk]:
        """Desks of some models that no other model has, and no engine which they are not to have:
        else a request might be sent where its model is not."""
        others = set(self.names()).difference(names)
        for name in names:
            desk = self.desks.get(name)
            if desk is None or not desk.serves.items() <= serves.items():
                continue
            if desk.model in serves.values():
                continue  # its policy would take the smaller one for the one asked for
            if not any(self.desks.get(other) is desk for other in others):
                yield desk

    def _share_out(self) -> None:
        """Tell desks which others have their engines too, and what each has of them."""
        desks = self.all_desks()
        for desk in desks:
            desk.beside = {
                number: [each for each in desks if each is not desk and number in each.engines]
                for number in desk.engines
            }
        for engine in self.engines.values():
            self.report(engine)

    def _desk(self, model: str) -> Desk:
        number, self._made = self._made, self._made + 1

        def begin() -> tuple[Policy, Record | None]:
            policy, shares = self.settings.policy, self.shares()
            record = self.record.desk(number, policy, shares, model) if self.record else None
            return make(policy, model, **shares), record

        return Desk(begin, model, self.clock, self.loop)

    def report(self, engine: Engine) -> None:
        """Tell every desk that has an engine how it is."""
        for desk in self._known_desks():
            desk.report(engine)

    def queued(self) -> int:
        """Requests that the policies hold back."""
        return sum(desk.waiting for desk in self.all_desks())

    def presence(self) -> Presence:
        """What this gateway tells the others, and how it divides engines with them."""
        engines, desks = list(self.engines.values()), self.all_desks()
        wanting = {
            each.settings.url: each.running
            + sum(desk.waiting for desk in desks if each.number in desk.engines)
            for each in engines
        }
        waiting = Counter(
            call.request.tenant
            for desk in desks
            for call in islice(desk.calls.values(), LOOKED_AT)
            if call.engine is None
        )
        running = {each.settings.url: each.running for each in engines}
        lent = tuple(each.settings.url for each in engines if each.holder is not None)
        return Presence(running=running, wanting=wanting, waiting=dict(waiting), lent=lent)

    def presses(self, engine: Engine) -> bool:
        """Whether requests wait that an engine could take."""
        desks = [desk for desk in self.all_desks() if engine.number in desk.engines]
        return any(desk.waiting for desk in desks)

    def overdue(self) -> None:
        """Give up engines that have said nothing for too long."""
        now = self.clock.now()
        for desk in self.all_desks():
            for call in list(desk.calls.values()):
                if now > call.due:
                    call.overdue(now)

    def orphaned(self, seconds: float) -> None:
        """Tell those who wait where no engine has been there for so long."""
        for desk in self.all_desks():
            if any(engine.alive for engine in desk.engines.values()):
                desk.alone = None
                continue
            now = self.clock.now()
            desk.alone = now if desk.alone is None else desk.alone
            if now - desk.alone >= seconds:
                desk.turn_away("no engine is there", seconds)

    def all_desks(self) -> list[Desk]:
        """Each once; also those that no model has any more, until they are empty."""
        return [desk for desk in self._known_desks() if desk.calls or not desk.retired]

    def _known_desks(self) -> list[Desk]:
        """Those, and empty ones to which somebody who was let in before may yet come."""
        return list(dict.fromkeys((*self.desks.values(), *self._retired)))

    def _context_tier(self, tenant: Tenant) -> float:
        """Longest context of a tenant, by the tiers it belongs to."""
        tiers = self.settings.contexts
        names = {"all", tenant.name, tenant.group}
        own = [edge for edge, whose in tiers.items() if names & set(whose)]
        allowed = max(own) if own else (min(tiers) if tiers else inf)
        return min(allowed, tenant.context)
