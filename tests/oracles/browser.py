"""Chromium without a screen, driven over a pipe by the DevTools protocol; nothing to install."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe", "about:blank"),
)
LISTENED = ("Page", "Runtime", "Log", "Network")


def found() -> str | None:
    """Where Chromium is, if it is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One tab. events: what it said since it was last cleared."""

    def __init__(self, program: str) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        high = [os.dup2(fd, place) for fd, place in ((to_read, 103), (to_write, 104))]
        command = [program, f"--user-data-dir={self.folder.name}", *FLAGS]
        words = 'exec "$@" 3<&103 4>&104'  # where Chromium looks for the pipe
        self.process = subprocess.Popen(
            ["bash", "-c", words, "bash", *command], pass_fds=high, stderr=subprocess.DEVNULL
        )
        for fd in (to_read, to_write, *high):
            os.close(fd)
        self.count, self.rest, self.session = 0, b"", ""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.getTargets")["targetInfos"][0]["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in LISTENED:
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; events that come before it are kept."""
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        reply = self._until(lambda each: each.get("id") == self.count)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']['message']}")
        answer: dict[str, Any] = reply["result"]
        return answer

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            while b"\0" not in self.rest:
                more = os.read(self.back, 1 << 20)
                if not more:
                    raise RuntimeError("Chromium went away")
                self.rest += more
            line, _, self.rest = self.rest.partition(b"\0")
            message: dict[str, Any] = json.loads(line)
            if wanted(message):
                return message
            self.events.append(message)

    def open(self, address: str) -> None:
        """Go to a page and wait until it is loaded."""
        self.events.clear()
        self.ask("Page.navigate", url=address)
        name = "Page.loadEventFired"
        if not any(each.get("method") == name for each in self.events):
            self.events.append(self._until(lambda each: each.get("method") == name))

    def evaluate(self, script: str) -> Any:
        """What a script says."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"]))
        return found["result"].get("value")

    def close(self) -> None:
        """End it."""
        os.close(self.to)
        os.close(self.back)
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()
