"""Sockets that listen."""

from __future__ import annotations

import socket

from eke.errors import BadInput

BACKLOG = 4096  # connections that wait to be taken


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises BadInput."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    here = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here.bind((host, port))
        here.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        here.close()
        raise BadInput(f"{host}:{port} cannot be had: {error}. Give another port.") from None
    return here


def where(host: str, port: int) -> str:
    """How one that listens is reached, for people and programs."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
