"""A server of uvicorn's that is one of several, and whose end is somebody else's to say."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import uvicorn

from eke.gateway.listening import Connection
from eke.gateway.sockets import bound


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it. here: the socket on which it listens.

    Raises BadInput where it cannot listen there.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=75,
            http=Connection,
        )
        super().__init__(config)
        self.here: socket.socket = bound(host, port)

    @property
    def address(self) -> tuple[str, int]:
        """Where it is reached."""
        host, port = self.here.getsockname()[:2]
        return host, port

    @property
    def busy(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self.server_state.connections)

    def overdue(self, now: float) -> None:
        """Give up clients that take too long. To be called now and then."""
        for connection in list(self.server_state.connections):
            connection.overdue(now)  # type: ignore[union-attr]

    def quit(self) -> None:
        """Listen no more, and close each connection when its answer is sent."""
        for listening in self.servers:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def end(self) -> None:
        """Close it and its connections at once."""
        self.force_exit = True
        if self.started:
            await self.shutdown(sockets=[self.here])
        self.here.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield
