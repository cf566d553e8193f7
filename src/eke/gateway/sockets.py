"""Sockets that listen."""

from __future__ import annotations

import errno
import socket

from eke.errors import BadInput

BACKLOG = 4096  # connections that wait to be taken
HOST = "Give an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all that it has."
ADVICE = {
    errno.EADDRINUSE: "Give another port, or 0 for one that is free.",
    errno.EACCES: "Give a port from 1024 on, or the rights that this one needs.",
    errno.EADDRNOTAVAIL: HOST,
}


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises BadInput."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    here = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here.bind((host, port))
        here.listen(BACKLOG)
    except (OSError, UnicodeError) as error:  # the latter of what is no name of a host at all
        here.close()
        raise BadInput(f"{host}:{port} cannot be had: {_why(error)}") from None
    return here


def _why(error: OSError | UnicodeError) -> str:
    """What is in the way, and what to do."""
    if isinstance(error, UnicodeError | socket.gaierror):
        return f"no host of that name is known. {HOST}"
    return f"{error.strerror or error}. {ADVICE.get(error.errno or 0, '')}".rstrip()


def where(host: str, port: int) -> str:
    """How one that listens is reached, for people and programs."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
