"""How fast a stand-in is: what the physics says of a model on chips."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fleets import play, traffic
from tests.standins import Ask, Played

from eke.asking import ask
from eke.errors import BadInput
from eke.simulating import deployed
from eke.simulation.deployment import Settings
from eke.simulation.survey import survey
from eke.standin.engine import Engine
from eke.standin.speed import speed, words


def test_a_real_model_answers_when_the_simulator_says():
    """60 requests to a 70B on 8 H100s, some of them at once."""
    found = speed("llama-3.1-70b", "8xh100-sxm")
    assert words(found).startswith("llama-3.1-70b on 8xh100-sxm (tensor 8, bf16 weights)")
    assert found.context == 131_072
    numbers = np.random.default_rng(1)
    times = np.cumsum(numbers.choice([0.0, 0.05, 0.4], 60))
    prompts, answers = numbers.integers(10, 12_000, 60), numbers.integers(1, 200, 60)
    coming = traffic(times, prompts, answers)
    job, fleet, _ = ask("serve", {"model": "llama-3.1-70b", "fleet": "8xh100-sxm"})
    ready = deployed(job, found.plan, fleet, survey(coming), Settings())
    run = play(ready, coming).requests
    wanted = [
        Ask(float(time), int(prompt), int(answer), 0, -1)
        for time, prompt, answer in zip(times, prompts, answers, strict=True)
    ]
    here = Played(Engine(found.steps, found.limits), wanted)
    assert here.column("first") == pytest.approx(run["first"], rel=0.02)
    assert here.column("last") == pytest.approx(run["finished"], rel=0.02)


def test_a_stand_in_is_one_engine():
    with pytest.raises(BadInput, match="one engine on one kind"):
        speed("llama-3.1-8b", "2xh100-sxm+2xh200-sxm")
    with pytest.raises(BadInput, match="memory is short"):
        speed("llama-3.1-405b", "h100-sxm")


def test_images_take_the_time_of_their_encoder():
    found = speed("qwen2.5-vl-7b", "h100-sxm").image
    assert found is not None
    assert found.tokens > 100
    assert found.time(0) == 0
    assert 0 < found.time(1) < found.time(2) < found.time(40)
    assert found.time(32) == pytest.approx(2 * found.time(16))
