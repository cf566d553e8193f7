"""The events of a background response, for clients that come and go."""

from __future__ import annotations

from asyncio import Event


class Log:
    """Events as they were told, from a number on. over: no more will come."""

    __slots__ = ("_news", "events", "first", "over")

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.events: list[bytes] = []
        self.over = False
        self._news = Event()

    @property
    def last(self) -> int:
        """Number of the newest event."""
        return self.first + len(self.events) - 1

    async def tell(self, told: list[bytes]) -> None:
        """More events."""
        self.events += told
        self.wake()

    def end(self) -> None:
        """It is complete."""
        self.over = True
        self.wake()

    def behind(self, number: int) -> bytes:
        """Events behind the one with a number, -1 for all there are."""
        return b"".join(self.events[max(number + 1 - self.first, 0) :])

    async def news(self) -> None:
        """Wait until something happens."""
        await self._news.wait()

    def wake(self) -> None:
        """Something happened: whoever waits looks."""
        self._news.set()
        self._news = Event()


def behind(events: bytes, number: int) -> bytes:
    """The same of all events of a response, as they are stored."""
    whole = [each + b"\n\n" for each in events.split(b"\n\n") if each]
    log = Log(number_of(whole[0]) if whole else 0)
    log.events = whole
    return log.behind(number)


def number_of(event: bytes) -> int:
    """The number of an event, which stands at its end."""
    return int(event.rpartition(b'"sequence_number":')[2].rstrip(b"}\n"))
