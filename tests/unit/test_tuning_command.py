"""The command of a trainer: its files are found from the folder of gateway.toml."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import join

import pytest
from tests.gateways import Fake, run
from tests.tuning import came_to, job, tuning

from eke.errors import BadInput
from eke.gateway.tuning.command import command_of

SCRIPTS = Path(__file__).parents[1] / "data" / "tuning"


@pytest.mark.parametrize("program", [sys.executable, "./tune.sh", "tune.sh"])
def test_words_that_name_files_become_their_paths(program: str, tmp_path: Path) -> None:
    for name in ("tune.sh", "sh", "conf/a b.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch(mode=0o755)
    there = str(tmp_path / "tune.sh")
    words = "'conf/a b.yaml' conf --with=tune.sh -m none.py"
    rest = [str(tmp_path / "conf" / "a b.yaml"), "conf", "--with=tune.sh", "-m", "none.py"]
    first = program if program == sys.executable else str(tmp_path / program)
    found = command_of(f"{program} -x {words}", tmp_path)
    assert found == [first, "-x", *rest]
    assert command_of("sh tune.sh sh", tmp_path) == ["sh", there, str(tmp_path / "sh")]


def test_no_command_is_none(tmp_path: Path) -> None:
    assert command_of("", tmp_path) == command_of("  ", tmp_path) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'open", "No closing quotation"),
        ("no-such-program a", "there is no program 'no-such-program'"),
        ("./tune.sh", "there is no program './tune.sh'"),
        ("./plain", "plain is no program; chmod"),
        ("bash tune.sh", "there is no file 'tune.sh'"),
        ("/usr/bin/env", ""),
        ("bash -c 'exit 0'", ""),
        ("bash", ""),
    ],
)
def test_what_cannot_be_started_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "plain").touch(mode=0o644)
    if not words:
        assert command_of(text, tmp_path)
        return
    with pytest.raises(BadInput, match=words):
        command_of(text, tmp_path)


def test_a_trainer_beside_the_file_is_started_in_the_folder_of_its_job(tmp_path: Path) -> None:
    trainer = join(command_of(f"{sys.executable} trainer.py", SCRIPTS))

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, trainer=trainer) as bench:
            assert (await came_to(bench, await job(bench, steps=1))).status == "succeeded"

    run(check())
