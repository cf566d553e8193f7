"""Everything written for a trainer uses names and choices that its release was recorded to know."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.launching import calls, leaves, options
from tests.oracles.engines.cases import CASES, start

from eke.errors import BadInput
from eke.launch import configuration
from eke.launch.torchtitan import FLAVOURS
from eke.physics.layers import count_parameters

RECORDS = {
    "megatron": "megatron_arguments",
    "torchtitan": "torchtitan_configuration",
    "deepspeed": "deepspeed_configuration",
    "trl": "trl_arguments",
    "verl": "verl_configuration",
    "slurm": "slurm_options",
}
RECORD: dict[str, Any] = {
    engine: json.loads((Path(__file__).parent / "record" / f"{name}.json").read_text())
    for engine, name in RECORDS.items()
}
WRITTEN = [(engine, name) for engine in RECORDS for name in RECORD[engine]["accepted"]]


@pytest.mark.parametrize("engine", RECORDS)
def test_the_record_holds_every_case_that_is_written(engine: str) -> None:
    written = set()
    for name in CASES:
        try:
            configuration(engine, start(name))
        except BadInput:
            continue
        written.add(name)
    assert written == set(RECORD[engine]["accepted"])


@pytest.mark.parametrize(("engine", "name"), WRITTEN)
def test_names_and_choices_are_recorded(engine: str, name: str) -> None:
    files = configuration(engine, start(name))
    {
        "megatron": _megatron,
        "torchtitan": _torchtitan,
        "deepspeed": _deepspeed,
        "trl": _trl,
        "verl": _verl,
        "slurm": _slurm,
    }[engine](files, RECORD[engine]["options"])


def _megatron(files: dict[str, str], known: dict[str, Any]) -> None:
    text = files["megatron.sh"]
    said = options(text[: text.rindex("\n\n")] + "\n\n" + text[text.rindex("pretrain_gpt.py") :])
    for name, value in said.items():
        assert name in known, name
        if known[name] == "flag":
            assert value == "", name
        elif isinstance(known[name], list):
            assert value in known[name], (name, value)
        else:
            assert value, name


def _torchtitan(files: dict[str, str], known: dict[str, list[str]]) -> None:
    made = calls(files["eke_torchtitan.py"])
    for call, names in (("TrainingConfig", "training"), ("ParallelismConfig", "parallelism")):
        assert set(made[call]) - {"arguments"} <= set(known[names])
    module = re.search(r"from torchtitan\.models\.(\w+) import", files["eke_torchtitan.py"])
    assert module is not None
    (size,) = made["model_registry"]["arguments"]  # type: ignore[misc]
    assert (module[1], size.strip("'")) in FLAVOURS.values()


def _deepspeed(files: dict[str, str], known: dict[str, list[str]]) -> None:
    told = json.loads(files["deepspeed.json"])
    assert set(told) - {"written_by", "expects"} <= set(known["keys"])
    assert set(told["zero_optimization"]) <= set(known["zero_optimization"])


def _trl(files: dict[str, str], known: dict[str, Any]) -> None:
    (file,) = {"sft.yaml", "reward.yaml", "dpo.yaml", "grpo.yaml"} & set(files)
    own = known[file.removesuffix(".yaml")]
    for name, value in yaml.safe_load(files[file]).items():
        assert name in own, name
        if isinstance(own[name], list):
            assert str(value) in own[name], (name, value)
    script = options(files["trl.sh"])
    launch = {"accelerate_config", "config", *known["accelerate"]}
    assert set(script) <= launch | set(own)
    nested = yaml.safe_load(files["accelerate.yaml"]).get("parallelism_config", {})
    assert set(nested) <= set(known["accelerate"])


def _verl(files: dict[str, str], known: dict[str, list[str]]) -> None:
    told = yaml.safe_load(files["verl.yaml"])
    own = known[told["defaults"][0]]
    told = {name: each for name, each in told.items() if name not in ("hydra", "defaults")}
    free = ("actor_rollout_ref.model.override_config", "actor_rollout_ref.rollout.engine_kwargs")
    free = (*free, "critic.model.override_config")
    overrides = re.findall(r"^  \"([a-z_.]+)='", files["verl.sh"], re.M)
    for key in [*leaves(told), *overrides]:
        assert key in own or key.startswith(free), key


def _slurm(files: dict[str, str], known: list[str]) -> None:
    asked = re.findall(r"^#SBATCH --([a-z-]+)", files["slurm.sbatch"], re.M)
    assert asked and set(asked) <= set(known)


@pytest.mark.parametrize("engine", ["megatron"])
def test_models_are_built_with_all_their_parameters(engine: str) -> None:
    for name, made in RECORD[engine]["accepted"].items():
        assert made["parameters"] == count_parameters(start(name).job.model).total, name


def test_flavours_are_the_models_of_that_shape() -> None:
    counted = RECORD["torchtitan"]["parameters"]
    for name in RECORD["torchtitan"]["accepted"]:
        files = configuration("torchtitan", start(name))
        text = files["eke_torchtitan.py"]
        (size,) = calls(text)["model_registry"]["arguments"]  # type: ignore[misc]
        module = re.findall(r"from torchtitan\.models\.(\w+) import model_registry", text)[0]
        own = count_parameters(start(name).job.model).total
        assert counted[f"{module} {size.strip(chr(39))}"] == own, name
