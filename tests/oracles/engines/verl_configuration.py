"""Compose what eke writes for verl with verl's own defaults, and build its records from it.

Run by `make oracles-engines` where hydra is installed and verl lies beside it (without its engines:
only its configuration is read). Hydra refuses a key that the defaults do not have.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import metadata
from pathlib import Path

import yaml
from cases import CASES, start
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict
from recording import record
from shell import started

from eke.errors import BadInput
from eke.launch import configuration

DEFAULTS = ("ppo_trainer", "ppo_megatron_trainer")


def keys(values: object, before: str = "") -> list[str]:
    """Dotted names of all leaves."""
    if not isinstance(values, dict) or not values:
        return [before]
    inner = ([f"{before}.{name}" if before else name, each] for name, each in values.items())
    return [key for name, each in inner for key in keys(each, name)]


def known(name: str) -> set[str]:
    """All keys of one of verl's own configurations."""
    folder = str(metadata.distribution("verl").locate_file("verl/trainer/config"))
    with initialize_config_dir(folder, version_base=None):
        return set(keys(OmegaConf.to_container(compose(name), resolve=False)))


def tiny(folder: Path) -> str:
    """A model so small that verl's records, which read one, can be built without a hub."""
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    words = {"a": 0, "<eos>": 1}
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="a")), eos_token="<eos>"
    )
    made.save_pretrained(folder)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    LlamaConfig(**shape, architectures=["LlamaForCausalLM"], vocab_size=2).save_pretrained(folder)
    return str(folder)


def check(name: str) -> dict[str, object]:
    """What Hydra and verl's checks made of a case."""
    from verl.utils.config import validate_config

    given = start(name)
    files = configuration("verl", given)
    saw = [line for line in started(files, "verl.sh", "python3", "ray") if line[1] == "-m"]
    overrides = [word for word in saw[0] if "=" in word]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "verl.yaml").write_text(files["verl.yaml"])
        small = tiny(Path(folder) / "tiny")
        paths = [each for each in overrides if each.split("=")[0].endswith("model.path")]
        overrides += [f"{each.split('=')[0]}='{small}'" for each in paths]
        with initialize_config_dir(folder, version_base=None):
            made = compose("verl", overrides=overrides)
        with open_dict(made):
            validate_config(made, use_reference_policy=True, use_critic=given.job.method == "ppo")
    own = yaml.safe_load(files["verl.yaml"])
    strange = set(keys({k: v for k, v in own.items() if k not in ("hydra", "defaults")}))
    strange -= ALL[own["defaults"][0]]
    assert not {key for key in strange if not key.startswith(FREE)}, strange
    rollout = made.actor_rollout_ref.rollout
    chips = made.trainer.nnodes * made.trainer.n_gpus_per_node
    chips += rollout.nnodes * rollout.n_gpus_per_node
    assert chips == given.plan.chips
    if rollout.nnodes:  # what PPOTrainerSeparateAsync asserts
        sync = made.trainer.v1.separate_async.parameter_sync_step
        mini = made.actor_rollout_ref.actor.ppo_mini_batch_size
        assert made.data.train_batch_size == sync * mini
        assert rollout.checkpoint_engine.backend != "naive"
    actor, answers = made.actor_rollout_ref.actor, made.actor_rollout_ref.rollout.n
    assert actor.ppo_mini_batch_size * answers == given.plan.batch
    return {"strategy": actor.strategy, "mini_batch": actor.ppo_mini_batch_size, "n": answers}


FREE = (  # mappings that take any key
    "actor_rollout_ref.model.override_config",
    "actor_rollout_ref.rollout.engine_kwargs",
    "critic.model.override_config",
)
ALL = {name: known(name) for name in DEFAULTS}


def main() -> None:
    found = {}
    for name in CASES:
        try:
            configuration("verl", start(name))
        except BadInput as refused:
            print(f"verl refuses {name}: {refused}", file=sys.stderr)
            continue
        found[name] = check(name)
        print(f"verl accepts {name}", file=sys.stderr)
    options = {name: sorted(key for key in ALL[name] if "profiler" not in key) for name in DEFAULTS}
    release = metadata.version("verl")
    record("verl_configuration", {"release": release, "options": options, "accepted": found})


if __name__ == "__main__":
    main()
