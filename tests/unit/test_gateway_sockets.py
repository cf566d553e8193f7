"""Sockets that cannot be had, and what is said of them."""

from __future__ import annotations

import socket

import pytest

from eke.errors import BadInput
from eke.gateway.sockets import bound


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 70])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(BadInput, match="no host of that name is known") as told:
        bound(host, 0)
    assert str(told.value).startswith(f"{host}:0 cannot be had")


def test_an_address_of_another_machine() -> None:
    with pytest.raises(BadInput, match="Give an address of this machine, such as"):
        bound("192.0.2.1", 0)


def test_a_port_that_somebody_has() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="Give another port, or 0 for one"):
            bound("127.0.0.1", taken.getsockname()[1])
