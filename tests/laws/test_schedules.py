"""Which schedules divide a stage, and that the search keeps to it."""

from __future__ import annotations

import pytest

from eke import need
from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.errors import BadInput
from eke.types.job import Train
from eke.types.need import Need
from eke.types.plan import Plan, check_plan


@pytest.mark.parametrize("schedule", ["gpipe", "zero-bubble"])
def test_only_interleaving_divides_a_stage(schedule: str) -> None:
    with pytest.raises(BadInput, match="one stage per rank"):
        check_plan(Plan(chip="h100-sxm", pipeline=4, virtual=2, schedule=schedule))  # type: ignore[arg-type]
    job = Train(model=model("llama-3.1-8b"), tokens=1e9)
    choices = {"pipeline": 8, "schedule": schedule}
    found = need(job, None, fleet("64xh100-sxm"), choices=choices)
    assert isinstance(found, Need) and found.plan.virtual == 1
    usual = need(job, None, fleet("64xh100-sxm"), choices={"pipeline": 8})
    assert isinstance(usual, Need) and usual.plan.virtual > 1
