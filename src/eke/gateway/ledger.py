"""Budgets and rates of tenants, exact however many requests are under way."""

from __future__ import annotations

from asyncio import Lock, ensure_future, shield
from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from eke.gateway.periods import begin_of, number_of
from eke.gateway.refusal import Refusal, spent, too_fast
from eke.gateway.row import NOT_ADMITTED
from eke.gateway.settings import Counted, Limit, Tenant

CHUNK = 64  # a lease is this part of what is left, so that a crash loses little
SOON = 1.0  # when to ask again while requests under way hold the rest; so long it is believed [s]

UNITS: dict[Counted, float] = {"requests": 1.0, "tokens": 1.0, "USD": 1e-9, "seconds": 1e-6}
CODES: dict[Counted, str] = {
    "requests": "organization_usage_limit_exceeded",
    "tokens": "organization_usage_limit_exceeded",
    "USD": "project_spend_limit_exceeded",
    "seconds": "organization_usage_limit_exceeded",
}


class Use(NamedTuple):
    """What a request takes, or may take: one of each thing that is counted."""

    requests: float
    tokens: float
    usd: float
    seconds: float

    def of(self, what: Counted) -> float:
        """How much of one thing."""
        return self[_PLACE[what]]


_PLACE: dict[Counted, int] = {"requests": 0, "tokens": 1, "USD": 2, "seconds": 3}


class Leave(NamedTuple):
    """What may be used of a limit that is shared: so much more.

    left: of the limit that nobody has told to have used.  others: whether it is refused though
    others have leave to use some of that.
    """

    given: float
    left: float
    others: bool


class Told(NamedTuple):
    """What became of leave: so much more was used, `beyond` of it without any, and so much of it is
    given back."""

    used: float
    back: float
    beyond: float = 0.0


class Leases(Protocol):
    """Where budgets are shared: gives leave to use a part of one, in one step. What is told there
    is in whole UNITS."""

    def lease(
        self, tenant: str, limit: Limit, window: int, wanted: float, least: float
    ) -> Awaitable[Leave]:
        """How much more may be used here: at most `wanted`, and nothing where less than `least`
        is left."""
        ...

    def rest(self, tenant: str, limit: Limit, window: int) -> Awaitable[Leave]:
        """All that is left, where nobody else has leave to use any of it; else nothing."""
        ...

    def settle(self, tenant: str, limit: Limit, window: int, told: Told) -> None:
        """What became of leave."""
        ...


class Window:
    """One limit of one tenant in one window of time.

    index: number of the window since 1970.  ends: when the next begins, UTC [s].
    granted: leave that this gateway had, and what it told that it used beyond that.  used: of it.
    reserved: for requests under way, `flying` of them.  told: used already told to the leases.
    most: the limit without what others used.  last: nobody else has leave to use anything, so one
    request may go beyond it.
    asking: for one at a time that asks for more leave.  wanted: by how many requests.
    denied: so much more was not to be had; until when that is believed [s].  others: because
    others have leave.
    """

    __slots__ = (
        *("asking", "denied", "ends", "flying", "granted", "index", "last", "limit", "most"),
        *("others", "reserved", "told", "used", "wanted"),
    )

    def __init__(self, limit: Limit, index: int, alone: bool) -> None:
        self.limit, self.index, self.last = limit, index, alone
        self.ends = begin_of(limit.period, index + 1)
        self.granted = limit.amount if alone else 0.0
        self.most = limit.amount
        self.used = self.reserved = self.told = 0.0
        self.flying = self.wanted = 0
        self.asking = Lock()
        self.denied = (0.0, 0.0)
        self.others = False

    @property
    def free(self) -> float:
        """Leave that nobody has reserved."""
        return self.granted - self.used - self.reserved

    @property
    def idle(self) -> bool:
        """Whether no request has or wants any of it."""
        return not (self.flying or self.wanted)

    def room(self, wanted: float) -> bool:
        """Whether a request may start: it fits, or it is alone and something is left."""
        free = self.granted - self.used - self.reserved
        return wanted <= free or (self.last and self.flying == 0 and free > 0)

    def denies(self, wanted: float, wall: float) -> bool:
        """Whether it was found just now that there is no leave for as much."""
        amount, until = self.denied
        return wall < until and wanted - self.free >= amount


class Hold(NamedTuple):
    """What is reserved for one request under way: windows, and how much of each."""

    windows: tuple[Window, ...]
    amounts: tuple[float, ...]


FREE = Hold((), ())  # of tenants without limits


class Ledger:
    """What each tenant used and may use still.

    A request reserves the most that it may take before it starts and is put right when it ends, so
    that a limit is passed by one request at most: the last one, which goes alone when less is left
    than it may take. Between gateways limits are kept by leases, of which each uses its own.
    """

    def __init__(self, leases: Leases | None = None) -> None:
        self.leases = leases
        self._windows: dict[tuple[str, Counted, float], Window] = {}
        self._ended: list[tuple[str, Window]] = []  # with requests under way

    def reserve(self, tenant: Tenant, most: Use, wall: float) -> Hold | None:
        """Reserve for a request what it may take. None where more leave must be fetched first.

        most: what it may take.  wall: UTC [s].  Raises Refusal where a limit is used up.
        """
        if not tenant.limits:
            return FREE
        windows = [self.window(tenant.name, limit, wall) for limit in tenant.limits]
        short = _short(windows, most)
        if short is None:
            return _held(windows, most)
        if self.leases is not None:
            return None
        raise _refusal(short, wall)

    async def fetch(self, tenant: Tenant, most: Use, wall: float) -> Hold:
        """The same, with more leave asked for where it is needed. Raises Refusal."""
        windows = [self.window(tenant.name, limit, wall) for limit in tenant.limits]
        for window in windows:
            window.wanted += 1  # what is had of one is not given back while another is asked for
        try:
            while (short := _short(windows, most)) is not None:
                wanted = most.of(short.limit.what)
                if short.denies(wanted, wall):
                    raise _refusal(short, wall)
                filling = ensure_future(self._fill(tenant.name, short, wanted, wall))
                await shield(filling)  # what it is given is kept though nobody waits
        finally:
            for window in windows:
                window.wanted -= 1
        for window in windows:
            if self._windows.get(_key(tenant.name, window.limit)) is not window:
                self._ended.append((tenant.name, window))  # it ended while leave was asked for
        return _held(windows, most)

    async def _fill(self, tenant: str, window: Window, wanted: float, wall: float) -> None:
        """Ask for leave where a request has no room, and note where there is none."""
        async with window.asking:
            if window.room(wanted) or window.denies(wanted, wall):
                return  # somebody else asked meanwhile
            await self._ask(tenant, window, wanted)
            if not window.room(wanted):
                window.denied = (wanted - window.free, wall + SOON)

    async def _ask(self, tenant: str, window: Window, wanted: float) -> None:
        """Ask for leave for one more request."""
        assert self.leases is not None
        limit, index = window.limit, window.index
        told = self._told(tenant, window, False)
        short = wanted - window.free
        if short <= limit.amount:
            chunk = max(short, limit.amount / CHUNK)
            _given(window, await self.leases.lease(tenant, limit, index, chunk, short), told)
        if not window.room(wanted) and window.flying == 0:
            told = self._told(tenant, window, True)  # had whole or not at all
            leave = await self.leases.rest(tenant, limit, index)
            _given(window, leave, told)
            window.last = leave.given > 0

    def settle(self, hold: Hold, took: Use) -> None:
        """A request is over; what it took stands for what was reserved."""
        for window, amount in zip(*hold, strict=True):
            window.flying -= 1
            window.used += took.of(window.limit.what)
            if window.flying:
                window.reserved -= amount
            else:
                window.reserved, window.denied = 0.0, (0.0, 0.0)  # the rest may be had

    def tell(self, wall: float) -> None:
        """Tell the leases what was used, and give back what nobody here uses now. Windows that are
        over are forgotten."""
        if self.leases is not None:
            for tenant, window in self._ended:
                self._told(tenant, window, window.idle)
            self._ended = [each for each in self._ended if not each[1].idle]
            for key, window in self._windows.items():
                self._told(key[0], window, window.idle)
        for key, window in list(self._windows.items()):
            if wall >= window.ends and window.idle:
                del self._windows[key]

    def left(self, tenant: Tenant, what: Counted, wall: float) -> tuple[float, float, float] | None:
        """Limit, what is left of it as far as is known here, and when it comes back [s], of a
        tenant's quickest limit on one thing; None without one."""
        quick = [limit for limit in tenant.limits if limit.what == what and limit.quick]
        if not quick:
            return None
        limit = min(quick, key=lambda each: each.period)
        window = self.window(tenant.name, limit, wall)
        left = max(window.most - window.used - window.reserved, 0.0)
        return limit.amount, left, max(window.ends - wall, 0.0)

    def window(self, tenant: str, limit: Limit, wall: float) -> Window:
        """A limit of a tenant in the window that a moment lies in, UTC [s]; a clock that runs back
        stays in the last."""
        key = (tenant, limit.what, limit.period)
        window = self._windows.get(key)
        if window is None or wall >= window.ends:
            if window is not None and self.leases is not None:
                self._ended.append((tenant, window))
            index = number_of(limit.period, wall)
            window = self._windows[key] = Window(limit, index, self.leases is None)
        elif window.limit is not limit:
            self._changed(window, limit)
        return window

    def known(self, tenant: str, limit: Limit, wall: float) -> Window | None:
        """The same for who only looks; None where nobody came in it."""
        window = self._windows.get(_key(tenant, limit))
        return None if window is None or wall >= window.ends else window

    def _changed(self, window: Window, limit: Limit) -> None:
        """The configuration has another limit, or the same anew."""
        more = limit.amount - window.limit.amount
        window.limit, window.most = limit, window.most + more
        if self.leases is None:
            window.granted += more
        if more:
            window.denied = (0.0, 0.0)

    def _told(self, tenant: str, window: Window, back: bool) -> float:
        """Tell the leases of one window; how much of it they know to be used. back: whether all
        leave is given back, for nothing is under way. Then none is kept from others."""
        assert self.leases is not None
        told = _whole(window, window.used)
        used, beyond = told - window.told, max(told - window.granted, 0.0)
        unused = max(_whole(window, window.granted - told), 0.0) if back else 0.0
        if used or unused:
            self.leases.settle(tenant, window.limit, window.index, Told(used, unused, beyond))
            window.told = told
            window.granted += beyond - unused
        window.last = window.last and not window.idle
        return window.told


def _key(tenant: str, limit: Limit) -> tuple[str, Counted, float]:
    return tenant, limit.what, limit.period


def _short(windows: list[Window], most: Use) -> Window | None:
    """The first window in which a request has no room."""
    for window in windows:
        if not window.room(most.of(window.limit.what)):
            return window
    return None


def _whole(window: Window, amount: float) -> float:
    """An amount in whole units, in which it is told."""
    unit = UNITS[window.limit.what]
    return round(amount / unit) * unit


def _given(window: Window, leave: Leave, told: float) -> None:
    """Leave that came. told: what was known to be used here when it was given."""
    window.granted += leave.given
    window.most, window.others = leave.left + told, leave.others


def _held(windows: list[Window], most: Use) -> Hold:
    amounts = tuple([most.of(window.limit.what) for window in windows])
    for window, amount in zip(windows, amounts, strict=True):
        window.flying += 1
        window.reserved += amount
    return Hold(tuple(windows), amounts)


def _refusal(window: Window, wall: float) -> Refusal:
    limit = window.limit
    words = f"the limit of {limit.words}"
    reason = f"{NOT_ADMITTED}limit of {limit.words.partition(' ')[2]}"
    if window.others or (window.flying and window.most > window.used):
        words = f"Requests under way may use up {words}."
        return too_fast(words, SOON, f"{reason}, held by requests under way")
    if limit.quick:
        return too_fast(f"You reached {words}.", window.ends - wall, reason)
    words = f"You reached {words}. Ask whoever runs this gateway for more."
    return spent(words, CODES[limit.what], reason)
