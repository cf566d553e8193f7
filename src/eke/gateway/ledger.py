"""Budgets and rates of tenants, exact however many requests are under way."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable
from math import inf
from typing import NamedTuple, Protocol

from eke.gateway.refusal import Refusal, spent, too_fast
from eke.gateway.settings import Counted, Limit, Tenant

CHUNK = 64  # a lease is this part of what is left, so that a crash loses little
SOON = 1.0  # when to ask again while requests under way hold the rest [s]

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


class Leases(Protocol):
    """Where budgets are shared: gives leave to use a part of one, in one step."""

    def lease(
        self, tenant: str, limit: Limit, window: int, wanted: float, least: float
    ) -> Awaitable[float]:
        """How much more may be used here: at most `wanted`, and nothing where less than `least`
        is left."""
        ...

    def rest(self, tenant: str, limit: Limit, window: int) -> Awaitable[float]:
        """All that is left, where nobody else has leave to use any of it; else nothing."""
        ...

    def settle(self, tenant: str, limit: Limit, window: int, used: float, back: float) -> None:
        """So much of what was leased was used, and so much is given back."""
        ...


class Window:
    """One limit of one tenant in one window of time.

    index: number of the window since 1970.  granted: leave that this gateway has.  used: of it.
    reserved: for requests under way, `flying` of them.  told: used already told to the leases.
    last: nobody else has leave to use anything, so one request may go beyond it.
    """

    __slots__ = ("flying", "granted", "index", "last", "limit", "reserved", "told", "used")

    def __init__(self, limit: Limit, index: int, granted: float, last: bool) -> None:
        self.limit, self.index, self.granted, self.last = limit, index, granted, last
        self.used = self.reserved = self.told = 0.0
        self.flying = 0

    @property
    def free(self) -> float:
        """Leave that nobody has reserved."""
        return self.granted - self.used - self.reserved

    def ends(self) -> float:
        """When the next window begins, UTC [s]."""
        return inf if self.limit.period == inf else (self.index + 1) * self.limit.period


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
        self._windows: dict[tuple[str, str], Window] = {}
        self._ended: list[tuple[str, Window]] = []  # with requests under way
        self._fetching = Lock()

    def reserve(self, tenant: Tenant, most: Use, wall: float) -> Hold | None:
        """Reserve for a request what it may take. None where more leave must be fetched first.

        most: what it may take.  wall: UTC [s].  Raises Refusal where a limit is used up.
        """
        if not tenant.limits:
            return FREE
        windows = [self.window(tenant.name, limit, wall) for limit in tenant.limits]
        for window in windows:
            if not self._room(window, most.of(window.limit.what)):
                if self.leases is not None:
                    return None
                raise self._refusal(window, wall)
        return self._held(windows, most)

    async def fetch(self, tenant: Tenant, most: Use, wall: float) -> Hold:
        """The same, with more leave asked for where it is needed. Raises Refusal."""
        windows = [self.window(tenant.name, limit, wall) for limit in tenant.limits]
        async with self._fetching:  # others may find enough when it is their turn
            for window in windows:
                await self._fill(tenant.name, window, most.of(window.limit.what))
        for window in windows:
            if not self._room(window, most.of(window.limit.what)):
                raise self._refusal(window, wall)
        for window in windows:
            if self._windows.get((tenant.name, window.limit.name)) is not window:
                self._ended.append((tenant.name, window))  # it ended while leave was asked for
        return self._held(windows, most)

    async def _fill(self, tenant: str, window: Window, wanted: float) -> None:
        """Ask for leave where a request has no room."""
        assert self.leases is not None
        limit, index, short = window.limit, window.index, wanted - window.free
        if self._room(window, wanted):
            return
        chunk = max(short, limit.amount / CHUNK)
        given = await self.leases.lease(tenant, limit, index, chunk, short)
        window.granted += given  # not before: it may have changed meanwhile
        if not self._room(window, wanted) and window.flying == 0:
            self._told(tenant, window)  # the rest is had whole or not at all
            given = await self.leases.rest(tenant, limit, index)
            window.granted += given
            window.last = given > 0

    def settle(self, hold: Hold, took: Use) -> None:
        """A request is over; what it took stands for what was reserved."""
        for window, amount in zip(*hold, strict=True):
            window.flying -= 1
            window.reserved = window.reserved - amount if window.flying else 0.0
            window.used += took.of(window.limit.what)

    def tell(self, wall: float) -> None:
        """Tell the leases what was used, and give back what nobody here uses now. Windows that are
        over are forgotten."""
        if self.leases is None:
            windows = self._windows.items()
            self._windows = {
                key: each for key, each in windows if each.flying or wall < each.ends()
            }
            return
        for tenant, window in self._ended:
            self._told(tenant, window)
        self._ended = [each for each in self._ended if each[1].flying]
        for key, window in list(self._windows.items()):
            self._told(key[0], window)
            if wall >= window.ends() and not window.flying:
                del self._windows[key]

    def left(self, tenant: Tenant, what: Counted, wall: float) -> tuple[float, float, float] | None:
        """Limit, what is left of it here and when it comes back [s], of a tenant's quickest limit
        on one thing; None without one."""
        quick = [limit for limit in tenant.limits if limit.what == what and limit.quick]
        if not quick:
            return None
        limit = min(quick, key=lambda each: each.period)
        window = self.window(tenant.name, limit, wall)
        gone = window.used + window.reserved
        return limit.amount, max(limit.amount - gone, 0.0), max(window.ends() - wall, 0.0)

    def window(self, tenant: str, limit: Limit, wall: float) -> Window:
        """A limit of a tenant in the window that a moment lies in, UTC [s]."""
        key = (tenant, limit.name)
        window = self._windows.get(key)
        index = 0 if limit.period == inf else int(wall // limit.period)
        if window is None or index > window.index:
            if window is not None and self.leases is not None:
                self._ended.append((tenant, window))
            alone = self.leases is None
            window = self._windows[key] = Window(limit, index, limit.amount * alone, alone)
        elif window.limit is not limit:
            if self.leases is None:
                window.granted = limit.amount
            window.limit = limit  # the configuration changed
        return window

    def _told(self, tenant: str, window: Window) -> None:
        """Tell the leases of one window; who has nothing under way keeps no leave from others."""
        assert self.leases is not None
        used = window.used - window.told
        back = 0.0 if window.flying else max(window.free, 0.0)
        if used or back:
            self.leases.settle(tenant, window.limit, window.index, used, back)
            window.told = window.used
            window.granted -= back
        window.last = window.last and window.flying > 0

    def _room(self, window: Window, wanted: float) -> bool:
        """Whether a request may start: it fits, or it is alone and something is left."""
        return wanted <= window.free or (window.last and window.flying == 0 and window.free > 0)

    def _held(self, windows: list[Window], most: Use) -> Hold:
        amounts = tuple(most.of(window.limit.what) for window in windows)
        for window, amount in zip(windows, amounts, strict=True):
            window.flying += 1
            window.reserved += amount
        return Hold(tuple(windows), amounts)

    def _refusal(self, window: Window, wall: float) -> Refusal:
        limit = window.limit
        words = f"the limit of {limit.amount:,g} {limit.name}"
        if window.flying and window.free + window.reserved > 0:
            return too_fast(f"Requests under way may use up {words}.", SOON)
        if limit.quick:
            return too_fast(f"You reached {words}.", window.ends() - wall)
        return spent(
            f"You reached {words}. Ask whoever runs this gateway for more.", CODES[limit.what]
        )
