"""What a config.json may say, and what happens when it says nonsense."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eke.catalog.files import use_folder
from eke.catalog.huggingface import KNOWN, fetch, model_from_config, read_config
from eke.catalog.models import model, model_file, model_names
from eke.errors import BadFile, BadInput, EkeError, UnknownArchitecture, UnknownModel
from eke.physics.layers import count_parameters

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
}
CASES = Path(__file__).parents[1] / "oracles" / "variations.json"
VARIATIONS: dict[str, dict[str, Any]] = json.loads(CASES.read_text())


# --- whatever a configuration holds, the answer is a model or a clear error -----------------

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.integers(-2, 70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=3), st.none()), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just("sliding_attention"),
)


def _places(values: dict[str, Any]) -> list[tuple[str, ...]]:
    """Every field, also those of nested tables."""
    found: list[tuple[str, ...]] = []
    for name, value in values.items():
        found.append((name,))
        if isinstance(value, dict):
            found += [(name, *inner) for inner in _places(value)]
    return found


@given(name=st.sampled_from(sorted(VARIATIONS)), data=st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mangled_configs_never_crash(name: str, data: st.DataObject) -> None:
    values = json.loads(json.dumps(VARIATIONS[name]))
    extra = [("layer_types",), ("quantization_config",), ("architectures",), ("torch_dtype",)]
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([*_places(values), *extra]))
        table = values
        for step in path:
            table = table[step]
        if data.draw(st.booleans()) and last in table:
            del table[last]
        else:
            table[last] = data.draw(JUNK)
    try:
        found = model_from_config(values, "mangled")
        assert count_parameters(found).total > 0
    except EkeError as error:
        assert len(str(error)) < 5000


@pytest.mark.parametrize("field", [field for field in LLAMA if field != "model_type"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -1, 0, 1e12, 10**9, "many", [4096], {}, True, 0.5, 1e400]
)
def test_an_absurd_value_names_the_field(field: str, value: object) -> None:
    with pytest.raises(BadFile, match=rf"config\.json: {field} is") as caught:
        model_from_config(LLAMA | {field: value}, "x")
    assert repr(value)[:20] in str(caught.value)


@pytest.mark.parametrize("field", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_file_must_state_its_own_size(field: str) -> None:
    with pytest.raises(BadFile, match=f"{field}.* is missing"):
        model_from_config({k: v for k, v in LLAMA.items() if k != field}, "x")


def test_a_nested_field_is_named_with_its_table() -> None:
    values = VARIATIONS["llava-small"]
    text = values["text_config"] | {"num_hidden_layers": -3}
    with pytest.raises(BadFile, match=r"text_config\.num_hidden_layers is -3"):
        model_from_config(values | {"text_config": text}, "x")
    with pytest.raises(BadFile, match="vision_config is missing"):
        model_from_config({k: v for k, v in values.items() if k != "vision_config"}, "x")
    with pytest.raises(BadFile, match="text_config is 7"):
        model_from_config(values | {"text_config": 7}, "x")


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        (["full_attention"], "has 1 entries for 7 layers"),
        (["banana"] * 7, "holds 'banana'"),
        ([["x"]] * 7, "holds"),
        ("full", "must be a list"),
    ],
)
def test_layer_types_must_fit_the_layers(kinds: object, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        model_from_config(VARIATIONS["gemma3-small"] | {"layer_types": kinds}, "x")


def test_heads_must_divide_and_experts_must_suffice() -> None:
    with pytest.raises(BadFile, match="64 does not divide by 5"):
        model_from_config(LLAMA | {"num_attention_heads": 5}, "x")
    with pytest.raises(BadFile, match="only 5 experts"):
        model_from_config(VARIATIONS["mixtral-small"] | {"num_experts_per_tok": 6}, "x")
    with pytest.raises(BadFile, match=r"config\.json: 9 experts are active"):
        model_from_config(VARIATIONS["ernie-moe-small"] | {"moe_k": 9}, "x")


# --- architectures ---------------------------------------------------------------------------


def test_an_unknown_architecture_names_the_closest_and_the_list() -> None:
    with pytest.raises(UnknownArchitecture, match=r"'mixtrall'.*Closest: mixtral.*Known: .*llama"):
        model_from_config(LLAMA | {"model_type": "mixtrall"}, "x")
    nested = VARIATIONS["llava-small"] | {"text_config": {"model_type": "rwkv"}}
    with pytest.raises(UnknownArchitecture, match="'rwkv'"):
        model_from_config(nested, "x")


def test_an_old_file_names_only_its_class() -> None:
    values = {k: v for k, v in LLAMA.items() if k != "model_type"}
    found = model_from_config(values | {"architectures": ["LlamaForCausalLM"]}, "x")
    assert found.architecture == "LlamaForCausalLM"
    with pytest.raises(BadFile, match="model_type is missing"):
        model_from_config(values, "x")
    with pytest.raises(UnknownArchitecture, match=r"'LlamaForCausal'.*Closest: LlamaForCausalLM"):
        model_from_config(values | {"architectures": ["LlamaForCausal"]}, "x")


def test_layers_are_grouped_by_what_they_see() -> None:
    gemma = model_from_config(VARIATIONS["gemma3-small"], "x")
    assert [(s.count, s.block.mixer.window) for s in gemma.stacks] == [(6, 64), (1, None)]  # type: ignore[union-attr]
    listed = ["full_attention", "sliding_attention"] * 2
    qwen = LLAMA | {"model_type": "qwen2", "num_hidden_layers": 4, "sliding_window": 32}
    on = qwen | {"use_sliding_window": True, "max_window_layers": 3}
    for values, windows in (
        (qwen, [(4, None)]),
        (on, [(3, None), (1, 32)]),
        (on | {"layer_types": listed}, [(2, None), (2, 32)]),
    ):
        stacks = model_from_config(values, "x").stacks
        assert [(s.count, s.block.mixer.window) for s in stacks] == windows  # type: ignore[union-attr]


def test_a_null_window_is_none_and_a_silent_mistral_has_none() -> None:
    for given_window, seen in ((None, None), (0, None), (4096, 4096)):
        values = LLAMA | {"model_type": "mistral", "sliding_window": given_window}
        assert model_from_config(values, "x").stacks[0].block.mixer.window == seen  # type: ignore[union-attr]
    silent = model_from_config(LLAMA | {"model_type": "mistral"}, "x")
    assert silent.stacks[0].block.mixer.window is None  # type: ignore[union-attr]


def test_dense_layers_come_before_routed_ones() -> None:
    found = model_from_config(
        VARIATIONS["deepseek-v3-small"] | {"num_nextn_predict_layers": 1}, "x"
    )
    assert [stack.count for stack in found.stacks] == [1, 3]
    assert found.drafts[0].block == found.stacks[-1].block


def test_whisper_attends_to_its_encoder() -> None:
    found = model_from_config(VARIATIONS["whisper-odd"], "x")
    assert not found.decoder_only
    assert found.stacks[0].block.cross is not None
    assert found.encoders[0].kind == "audio"


# --- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, "bf16"),
        ({"torch_dtype": "float16"}, "fp16"),
        ({"dtype": "float32"}, "fp32"),
        ({"torch_dtype": "torch.bfloat16"}, "bf16"),
        ({"quantization_config": {"quant_method": "fp8", "fmt": "e4m3"}}, "fp8"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "fp4"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "int4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "int4"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 8}}, "int8"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "int8"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "int4"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, "fp4"),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float"}}},
                }
            },
            "fp8",
        ),
        ({"torch_dtype": "float16", "quantization_config": {"quant_method": "new"}}, "fp16"),
    ],
)
def test_the_format_of_the_weights(said: dict[str, Any], found: str) -> None:
    assert model_from_config(LLAMA | said, "x").weight_format == found


def test_infinity_may_stand_where_eke_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(VARIATIONS["mamba2-small"] | {"time_step_limit": [0, float("inf")]}))
    assert read_config(str(path)).hidden == 256


# --- files, folders and hub ids ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\x00\xff\xfe\x80junk", "is not text"),
        (b"not json", "is not JSON"),
        (b"[1, 2]", "holds a list"),
        (b'"text"', "holds a str"),
        (b"{}", "model_type is missing"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"a":' * 50_000, "is not JSON"),
        (b'{"n": ' + b"9" * 20_000 + b"}", "is not JSON"),
        (b'{"model_type": "llama", "hidden_size": NaN}', "hidden_size is nan"),
        (b" " * 11_000_000, "such files have at most"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=why) as caught:
        read_config(str(path))
    assert str(caught.value).count(str(path)) == 1


def test_a_file_or_its_folder_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "My-Model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    for name in (str(folder), str(folder / "config.json")):
        assert model(name).id == "My-Model"
    monkeypatch.chdir(tmp_path)
    assert model("My-Model").id == "My-Model"
    monkeypatch.chdir(folder)
    assert model("config.json").id == "My-Model"
    with pytest.raises(BadFile, match="cannot be read"):
        model(str(tmp_path / "missing.json"))


@pytest.mark.parametrize(
    "name", ["a" * 5000, "a" * 5000 + ".json", "~nobody-here/x", "a\0b", "a\0.json"]
)
def test_an_impossible_name_is_a_clear_error(name: str) -> None:
    with pytest.raises(EkeError) as caught:
        model(name)
    assert len(str(caught.value)) < 12_000


def test_an_empty_name_is_refused() -> None:
    for name in ("", "  "):
        with pytest.raises(BadInput, match="no model given"):
            model(name)


def test_without_a_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request
    from urllib.error import URLError

    def offline(*_: object, **__: object) -> object:
        raise URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(BadInput, match=r"no network.*Download the file"):
        model("meta-llama/Llama-9-8B")


@pytest.mark.parametrize("name", ["a/b/c", "../x", "org/na me", "org/", "/x", "org/..%2f", "é/x"])
def test_only_org_slash_name_goes_to_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def never(*_: object, **__: object) -> object:
        raise AssertionError("asked the network")

    monkeypatch.setattr(urllib.request, "urlopen", never)
    with pytest.raises(BadInput, match="neither a file nor a hub id"):
        fetch(name)


# --- the catalogue -----------------------------------------------------------------------------


def test_catalogue_names_aliases_and_unknown_ones() -> None:
    assert model("llama-3.1-70b").name == model("Llama 3.1 70B").name
    with pytest.raises(UnknownModel, match=r"closest: .*llama-3\.1-70b"):
        model("llama-3.1-70bb")


def test_a_closed_model_has_facts_but_no_shape() -> None:
    with pytest.raises(BadInput, match="not published"):
        model("gpt-4o")
    assert model_file("gpt-4o").name


@pytest.mark.parametrize(
    "name,published",
    [
        ("decilm-7b", 7_043_551_232),
        ("llama-3.3-nemotron-super-49b", 49_867_145_216),
        ("qwen-7b", 7_721_324_544),
    ],
)
def test_families_transformers_lacks_have_the_published_count(name: str, published: int) -> None:
    assert count_parameters(model(name)).total == published


def test_layers_that_are_unlike_must_be_described_one_by_one() -> None:
    uneven = LLAMA | {"num_key_value_heads_per_layer": [1]}
    with pytest.raises(BadFile, match="must list each layer"):
        model_from_config(uneven | {"model_type": "deci"}, "x")
    linear = {"attention": {"replace_with_linear": True}, "ffn": {"ffn_mult": 1.0}}
    blocks = {"block_configs": [linear] * LLAMA["num_hidden_layers"]}
    with pytest.raises(BadFile, match="replace_with_linear"):
        model_from_config(LLAMA | blocks | {"model_type": "nemotron-nas"}, "x")


def test_every_catalogue_model_is_read_or_says_why_not() -> None:
    for name in model_names():
        read = model_file(name)
        if read.config:
            assert count_parameters(model(name)).total > 0
        else:
            assert read.unpublished


def test_a_user_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import eke.catalog.files as files

    monkeypatch.setattr(files, "_added", [])
    (tmp_path / "models").mkdir()
    lines = [f"{name} = {json.dumps(value)}" for name, value in LLAMA.items()]
    text = 'id = "tiny"\nname = "Tiny"\naliases = ["wee one"]\n\n[config]\n' + "\n".join(lines)
    (tmp_path / "models" / "tiny.toml").write_text(text)
    use_folder(tmp_path)
    assert model("tiny").hidden == model("wee-one").hidden == 64


def test_importing_is_light() -> None:
    heavy = "[name for name in ('numpy', 'urllib.request') if name in sys.modules]"
    code = f"import sys, eke.catalog.models; print({heavy})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_list_of_families_is_sorted_and_whole() -> None:
    assert sorted(set(KNOWN)) == KNOWN
    assert {"llama", "deepseek_v3", "gpt_oss", "whisper", "mllama", "jamba"} <= set(KNOWN)
