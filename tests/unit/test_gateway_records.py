"""Records of events on disks that are full, and of gateways that were killed."""

from __future__ import annotations

import asyncio
import errno
from io import BufferedWriter, FileIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.gateways import Fake, ask, chat, run, serving, talk, until

from eke.cli import entry
from eke.errors import BadFile
from eke.gateway.recording import Recorder, recorder, told_again


class Full(FileIO):
    """A file on a disk that is soon full. left: bytes that it takes."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path, "ab")
        self.left = left

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        if self.left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote = super().write(bytes(data[: self.left]))
        self.left -= wrote
        return wrote


def test_a_full_disk_keeps_nobody_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.jsonl"

    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, policy="fcfs", facts={"slots": 1}, record=str(path)) as house:
            recorder = house.gateway.record
            assert recorder is not None
            going = [asyncio.ensure_future(ask(house, body=chat())) for _ in range(3)]
            await until(lambda: house.gateway.queued() == 2)
            recorder._file.close()
            recorder._file = BufferedWriter(Full(path, 500), 64)
            gate.set()
            assert {reply.status for reply in await asyncio.gather(*going)} == {200}
            while not recorder.ended:
                assert (await ask(house, body=chat())).status == 200
            assert (await ask(house, body=chat())).status == 200

    run(work())
    told = told_again(path)
    assert told.events > 5 and "No space left" in told.ends[0]
    assert [each.message for each in caplog.records if "ends here" in each.message]
    assert [each.message for each in caplog.records if "ended before" in each.message]
    said = CliRunner().invoke(entry, ["serve", "check", str(path)])
    assert said.exit_code == 0 and "No space left on device" in said.output


def test_a_disk_that_is_full_at_the_end_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    recorder = Recorder(path, BufferedWriter(Full(path, 300), 1 << 16))
    for _ in range(9):
        recorder.desk(0, "fcfs", {})
    recorder.close()
    assert "the record ends here: No space left" in caplog.text
    assert "No space left" in told_again(path).ends[0]
    assert len(path.read_bytes()) <= 300


def test_a_device_that_takes_nothing_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eke.gateway.recording.BUFFER", 64)

    async def work() -> None:
        async with serving(Fake(), record="/dev/full") as house:
            assert (await ask(house, body=chat())).status == 200
            assert house.gateway.record is not None and house.gateway.record.ended

    run(work())


def test_a_record_goes_on_behind_the_line_at_which_a_gateway_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    async def asked() -> None:
        async with serving(Fake(), record=str(path)) as house:
            for _ in range(3):
                assert (await ask(house, body=chat())).status == 200

    run(asked())
    whole, first = path.read_bytes(), told_again(path)
    assert first.ends == []
    path.write_bytes(whole[:-20])
    assert "half a line" in told_again(path).ends[0]
    run(asked())
    again = told_again(path)
    assert again.events > first.events and again.ends == []
    path.write_bytes(whole + b'{"ty')
    run(asked())
    assert told_again(path).events > first.events


def test_a_file_that_is_no_record_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear all,\nthis ends without a line's end")
    with pytest.raises(BadFile, match="is no record of a gateway"), recorder(str(path)):
        pass
    assert path.read_text() == "Dear all,\nthis ends without a line's end"
    path.write_bytes(b"")
    with recorder(str(path)) as found:
        assert found is not None
