"""The servers, and what is done again and again beside them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from eke.gateway.api import (
    admin,
    batches,
    conversations,
    describing,
    files,
    models,
    queue,
    responses,
    status,
    tuning,
    usage,
)
from eke.gateway.api.app import Admin, App
from eke.gateway.api.routes import Routes
from eke.gateway.api.sites import Sites
from eke.gateway.batches.runner import Runner as Batches
from eke.gateway.books import Books
from eke.gateway.clock import Clock
from eke.gateway.ending import ending
from eke.gateway.gateway import Gateway
from eke.gateway.keeping import Keeper
from eke.gateway.listening import Connection
from eke.gateway.looking import Looks
from eke.gateway.membership import Membership
from eke.gateway.named import unknown_tiers
from eke.gateway.recording import recorder
from eke.gateway.reloading import reload
from eke.gateway.responses.makings import Makings
from eke.gateway.row import Row
from eke.gateway.seeing.logs import RequestLog, begin_logging
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.seeing.traces import begin_traces
from eke.gateway.server import Server
from eke.gateway.settings import Settings
from eke.gateway.sockets import where
from eke.gateway.state.sealing import sealers
from eke.gateway.state.state import open_state
from eke.gateway.troubles import troubles
from eke.gateway.tuning.runner import Runner as Jobs

OFTEN = 1.0  # between looks at who says nothing [s]
LOOPBACK = "127.0.0.1"  # the only address of the administration
LAST = 1.0  # for clients to be told that the gateway stops [s]

PUBLIC = (
    *(*models.ROUTES, *responses.ROUTES, *conversations.ROUTES),
    *(*files.ROUTES, *batches.ROUTES, *tuning.ROUTES),
)
ADMIN = (*admin.ROUTES, *usage.ROUTES)

Say = Callable[[str], None]


class Service:
    """One gateway at work.

    again: reads the settings anew, for SIGHUP; None where they are not in a file.  say: what is to
    be said to whoever started it.
    """

    def __init__(
        self, settings: Settings, say: Say, again: Callable[[], Settings] | None = None
    ) -> None:
        self.settings, self.say, self.again = settings, say, again
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._hurried = False  # nobody waits for what is under way
        self.gateway: Gateway
        self._books: Books
        self._looks: Looks
        self.servers: list[Server] = []

    async def run(self) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        clock = Clock()
        with recorder(self.settings.record) as record:
            keeper = self._keeper(clock)
            self.gateway = gateway = Gateway(self.settings, loop, clock, keeper, record)
            self._books, self._looks = Books(gateway), Looks(gateway, self.say, self._begin)
            try:
                for engine in gateway.engines.values():
                    self._looks.at(engine)
                if keeper is not None:
                    gateway.membership = Membership(gateway, keeper.state)
                    await gateway.membership.refresh()
                self._tell_unknown()
                seeing = self._seeing(gateway)
                self._works(gateway, seeing)
                await self._servers(seeing)
                self._signals(loop)
                await self._stop.wait()
            finally:
                await self._end()

    def interrupt(self) -> None:
        """End when what is under way is answered, or at once where that is said again."""
        if not self.gateway.closing:
            self.say(ending(self.gateway))
            self.stop()
            return
        self.say("ending now")
        self._hurried = True
        for engine in self.gateway.engines.values():
            if engine.holder is not None:
                engine.holder.hurry()

    def stop(self) -> None:
        """Answer what is under way, take nothing new, and end."""
        self.gateway.closing = True
        self._stop.set()

    def reload(self) -> None:
        """Read the settings anew, without keeping anybody waiting."""
        self._begin(self._reload())

    async def _reload(self) -> None:
        """Take over what the settings say now; what makes no sense is said and changes nothing."""
        if self.again is None:
            self.say("nothing to read anew: the settings came from flags")
            return
        try:
            added, said = reload(self.gateway, await asyncio.to_thread(self.again))
        except ValueError as error:
            self.say(f"not taken over: {error}")
            return
        for engine in added:
            self._looks.at(engine)
        self.say("taken over: " + ("; ".join(said) or "nothing that counts changed"))
        self._tell_unknown()

    def _tell_unknown(self) -> None:
        """Say which names in the settings are nobody's; somebody may come who has them."""
        for words in unknown_tiers(self.gateway.settings, self.gateway.tenants):
            self.say(words)

    def _keeper(self, clock: Clock) -> Keeper | None:
        """What outlives this process, where settings say so."""
        address = self.settings.state
        if not address:
            return None
        seals = sealers(lambda: self.gateway.tenants.by_name)
        return Keeper(open_state(address, seals), clock)

    def _seeing(self, gateway: Gateway) -> Seeing:
        """What is seen of the gateway, each row that is over among it."""
        settings = self.settings
        traces = gateway.traces = begin_traces(settings.traces) if settings.traces else None
        each = settings.log.lower() in ("info", "debug")
        seeing = Seeing(gateway, RequestLog(gateway.request_id) if each else None, traces)
        keep = gateway.write

        def write(row: Row) -> None:
            keep(row)
            seeing.over(row)

        gateway.write = write
        return seeing

    def _works(self, gateway: Gateway, seeing: Seeing) -> None:
        """Begin what is done beside answering."""
        makings = gateway.one(Makings)
        for work in (self._books.run(), self._watch(), seeing.beat(), makings.run()):
            self._begin(work)
        if gateway.state is not None:
            self._begin(gateway.one(Batches).run())
            self._begin(gateway.one(Jobs).run())

    async def _servers(self, seeing: Seeing) -> None:
        settings = self.settings
        routes = (*PUBLIC, *queue.routes(seeing), *status.routes(seeing))
        public = Routes((*routes, *describing.routes(routes, seeing.version)))
        app = Sites(self.gateway, App(self.gateway, public))
        await self._serve(app, settings.host, settings.port)
        host, port = self.address()
        here, is_open = where(host, port), self.gateway.tenants.open
        page = f"status on {here}/" if is_open else "for keys of tenants"  # no browser sends any
        self.say(f"ready on {here}/v1, {page}")
        if is_open and host not in (LOOPBACK, "::1"):
            self.say("open to everybody who reaches it; tenants with keys close it")
        if settings.admin is not None:
            inside = Routes((*ADMIN, *status.admin_routes(seeing)))
            await self._serve(Admin(self.gateway, inside), LOOPBACK, settings.admin)
            self.say(f"administration and status on {where(*self.address(1))}/")

    def address(self, which: int = 0) -> tuple[str, int]:
        """Where the public server, or the other one, is reached."""
        return self.servers[which].address

    async def _serve(self, app: Any, host: str, port: int) -> None:
        """Serve an application; listening when this returns. Raises BadInput."""
        server = Server(app, host, port)
        self.servers.append(server)
        self._begin(server.serve(sockets=[server.here]))
        while not server.started:
            await asyncio.sleep(0.005)

    def _signals(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(signal.SIGTERM, self.interrupt)
            loop.add_signal_handler(signal.SIGINT, self.interrupt)
            loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        """Give up engines and clients that say nothing, soon after their time is up."""
        now = asyncio.get_running_loop().time
        while True:
            patience = self.gateway.settings.patience
            Connection.patience, Connection.reading = patience.body, patience.reading
            shortest = min(patience.first, patience.between, patience.body)
            await asyncio.sleep(min(OFTEN, shortest / 10))
            with troubles("a look at who says nothing"):
                self.gateway.overdue()
                for server in self.servers:
                    server.overdue(now())

    async def _drained(self, seconds: float) -> None:
        """Wait until all is answered and sent, or as long as that [s], or until there is hurry."""
        until = self.gateway.clock.now() + seconds
        while self.gateway.clock.now() < until and not self._hurried:
            if not (self.gateway.open_calls or any(each.busy for each in self.servers)):
                return
            await asyncio.sleep(0.01)

    async def _end(self) -> None:
        """Answer what is under way, then close everything."""
        for server in self.servers:
            server.quit()
        await self.gateway.one(Makings).close()  # others make them; who follows one is let go
        await self._drained(self.gateway.settings.patience.drain)
        self.gateway.ended = True
        for desk in self.gateway.all_desks():
            desk.turn_away("the gateway stops", LAST)
        for engine in self.gateway.engines.values():
            engine.wire.close("the gateway stops")
        await self._drained(LAST)
        async with self._books.closed():
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self.servers:
            await server.end()
        await self._books.leave()


def run(settings: Settings, say: Say, again: Callable[[], Settings] | None = None) -> None:
    """Serve until a signal says stop."""
    try:
        import uvloop

        runner: Any = uvloop.run
    except ImportError:
        runner = asyncio.run
    _all_files()
    logs = begin_logging(settings.log, settings.log_form, settings.log_file)
    try:
        runner(Service(settings, say, again).run())
    finally:
        logs.close()


def _all_files() -> None:
    """As many open files as this process may have: each stream takes two connections."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
