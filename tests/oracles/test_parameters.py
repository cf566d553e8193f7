"""Parameter counts equal those of the models that transformers builds, to the last one."""

import json
from pathlib import Path

import pytest

from eke.catalog.huggingface import model_from_config
from eke.physics.layers import count_parameters

RECORD = json.loads((Path(__file__).parent / "record" / "parameters.json").read_text())


@pytest.mark.parametrize("name", RECORD["cases"])
def test_count_is_exact(name: str) -> None:
    case = RECORD["cases"][name]
    counted = count_parameters(model_from_config(case["config"], name))
    assert counted.total == case["parameters"]


def test_enough_families_are_covered() -> None:
    families = {case["config"]["model_type"] for case in RECORD["cases"].values()}
    assert len(families) >= 30
    assert len(RECORD["cases"]) >= 100
