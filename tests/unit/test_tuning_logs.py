"""What a trainer says: bounded in the state and on disk, whatever it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateways import Fake, run
from tests.tuning import came_to, events_of, job, tuning

from eke.gateway.tuning import saying


def test_a_trainer_that_says_much_is_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "MOST", 20)

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path) as bench:
            made = await job(bench, steps=200, every=20)
            done = await came_to(bench, made)
            api = bench.client().fine_tuning.jobs
            found = [each async for each in api.checkpoints.list(made.id, limit=100)]
            assert [each.step_number for each in found] == list(range(200, 0, -20))
            told = await events_of(bench, made)
            assert told[-2:] == ["The tuned model is there.", "The job has successfully completed."]
            steps = [each for each in told if each.startswith("Step ")]
            assert 20 < len(steps) < 100
            text = (await bench.client().files.content(done.result_files[0])).text
            kept = [int(line.partition(",")[0]) for line in text.splitlines()[1:]]
            assert len(kept) == len(steps) and kept[:10] == list(range(1, 11)) and kept[-1] > 180

    run(check())
