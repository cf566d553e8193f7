"""The gateway: its engines and desks, and what it knows of models and tenants."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

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
from eke.policy.naming import make
from eke.policy.protocol import Policy

LOOKED_AT = 1000  # requests of a desk whose tenants are told to other gateways

Write = Callable[[Row], None]

if TYPE_CHECKING:
    from eke.gateway.membership import Membership
    from eke.gateway.seeing.traces import Traces


class Gateway:
    """Everything that requests need on their way, in one process.

    open_calls: requests at hand.  held: bytes of prompts that are not sent yet.
    begun: when, UTC, whole seconds.  engines: by number.  desks: by model as clients name it;
    models with the same engines share one.  errors: that clients were told, by status and code.
    keeper: of what outlives this process; None keeps
    nothing.  write: is given a row for each request that is over.  closing, ended: nobody new is
    answered, and nothing is tried again.  Raises BadInput.
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
        self.begun = int(self.clock.wall(0.0))
        self.keeper, self.record = keeper, record
        self.write = write or (keeper.write if keeper else lambda row: None)
        self.members: tuple[Tenant, ...] = ()
        self.keyed = False  # whether anybody was given a key by the administration, good or not
        self.membership: Membership | None = None
        self.traces: Traces | None = None
        self._know_tenants()
        self.ledger = Ledger(keeper)
        self.models = {model.name: model for model in settings.models}
        self.lengths: dict[str, Lengths] = {}
        self.engines: dict[int, Engine] = {}
        self.desks: dict[str, Desk] = {}
        self.errors: Counter[tuple[str, str]] = Counter()
        self.open_calls = self.held = 0
        self.closing = self.ended = False
        self._number = self._engines = self._made = 0
        self._retired: list[Desk] = []
        self._contexts: dict[str, float] = {}
        for each in settings.engines:
            self.add_engine(each)

    def remove_engine(self, engine: Engine) -> None:
        """One engine less; nothing is on it any more."""
        self.report(engine)
        del self.engines[engine.number]
        for desk in self.all_desks():
            desk.engines.pop(engine.number, None)
        engine.wire.close()

    @property
    def state(self) -> State | None:
        """Where texts, files and work are kept; None for nowhere."""
        return self.keeper.state if self.keeper else None

    def number(self) -> int:
        """Of the next request."""
        self._number += 1
        return self._number - 1

    def request_id(self, number: int) -> str:
        """What clients are told of a request's number; another one after each start."""
        return f"req_{self.begun:x}_{number:x}"

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
        own = self._contexts.get(tenant.name)
        if own is None:
            own = self._contexts[tenant.name] = self._context_tier(tenant)
        return min(own, self.model_context(model))

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

    def found_models(self) -> None:
        """Engines said what they serve: give each set of models with the same engines a desk."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for name in self.names():
            numbers = [engine.number for engine in self.engines.values() if name in engine.models]
            small = self.model(name).smaller
            if small:
                numbers += [e.number for e in self.engines.values() if small in e.models]
            groups.setdefault(tuple(dict.fromkeys(numbers)), []).append(name)
        for shared, names in groups.items():
            desk = next((each for each in self._fitting(shared, names)), None) or self._desk()
            for number in shared:
                desk.engines.setdefault(number, self.engines[number])
            for name in names:
                before, self.desks[name] = self.desks.get(name), desk
                if before is not None and before not in self.desks.values():
                    self._retired.append(before)
        desks = self.all_desks()
        for desk in desks:
            desk.beside = {
                number: [each for each in desks if each is not desk and number in each.engines]
                for number in desk.engines
            }

    def _fitting(self, shared: tuple[int, ...], names: list[str]) -> Iterator[Desk]:
        """Desks of some models that no other model has, and no engine which they are not to have:
        else a request might be sent where its model is not."""
        for name in names:
            desk = self.desks.get(name)
            if desk is None or not desk.engines.keys() <= set(shared):
                continue
            if all(each in names for each, other in self.desks.items() if other is desk):
                yield desk

    def report(self, engine: Engine) -> None:
        """Tell every desk that has an engine how it is."""
        for desk in self.all_desks():
            if engine.number in desk.engines:
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
        self._retired = [desk for desk in self._retired if desk.calls]
        return list({id(desk): desk for desk in (*self.desks.values(), *self._retired)}.values())

    def add_engine(self, settings: EngineSettings) -> Engine:
        """One more engine; it takes requests when it was looked at."""
        number, self._engines = self._engines, self._engines + 1
        engine = Engine(number, settings, self.settings.patience, self.clock.now())
        self.engines[number] = engine
        return engine

    def take_over(self, settings: Settings, members: tuple[Tenant, ...]) -> bool:
        """Other settings and tenants from now on; whether the policy was begun anew for them."""
        before = self.settings.policy, self.shares()
        self.settings, self.members = settings, members
        self.models = {model.name: model for model in settings.models}
        self._know_tenants()
        self._contexts.clear()
        if before == (settings.policy, self.shares()):
            return False
        for desk in self.all_desks():
            desk.swap()
        return True

    def _know_tenants(self) -> None:
        said = self.settings
        self.tenants = Tenants(said.tenants, said.open, self.members, self.keyed)
        tell_dropped(said.policy, self.tenants.by_name.values())

    def shares(self) -> Shares:
        """What the policy is told of tenants: their weights, floors and ceilings."""
        return shares_of(self.settings.policy, self.tenants.by_name.values())

    def _desk(self) -> Desk:
        number, self._made = self._made, self._made + 1

        def begin() -> tuple[Policy, Record | None]:
            policy, shares = self.settings.policy, self.shares()
            record = self.record.desk(number, policy, shares) if self.record else None
            return make(policy, **shares), record

        return Desk(begin, {}, self.clock, self.loop)

    def _context_tier(self, tenant: Tenant) -> float:
        """Longest context of a tenant, by the tiers it belongs to."""
        tiers = self.settings.contexts
        names = {"all", tenant.name, tenant.group}
        own = [edge for edge, whose in tiers.items() if names & set(whose)]
        allowed = max(own) if own else (min(tiers) if tiers else inf)
        return min(allowed, tenant.context)
