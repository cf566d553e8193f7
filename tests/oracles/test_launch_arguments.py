"""Everything eke writes has names and values that the engines are recorded to know."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))  # as the oracle scripts find them

import arguments
import fields
import starting
from launch_cases import cases

from eke.errors import BadInput
from eke.launch import configuration
from eke.types.plan import Plan

VLLM = arguments.read("vllm_arguments.json")
SGLANG = arguments.read("sglang_arguments.json")
LLAMA = arguments.read("llama_cpp_arguments.json")
TRTLLM = arguments.read("trtllm_fields.json")
RAY = arguments.read("ray_fields.json")
PODS = arguments.read("kubernetes_fields.json")["fields"]
RESOURCES = arguments.read("resource_fields.json")["fields"]
ROUTERS = {
    "vllm": arguments.read("vllm_router_arguments.json"),
    "sglang": arguments.read("sglang_router_arguments.json"),
}


def written(engine: str) -> list[str]:
    """Cases that an engine can run."""
    found = []
    for name, start in cases().items():
        try:
            configuration(engine, start)
        except BadInput:
            continue
        found.append(name)
    return found


def each(*engines: str) -> Any:
    """A test per engine and case."""
    pairs = [(engine, name) for engine in engines for name in written(engine)]
    return pytest.mark.parametrize(("engine", "name"), pairs)


def calls(folder: Path, engine: str, name: str) -> Iterator[list[str]]:
    """The words of every server that the scripts of a case start on their first server."""
    files = configuration(engine, cases()[name])
    for script in (each for each in files if each.startswith("start-") and "router" not in each):
        for call in starting.run(folder, files, script, "0", "10.0.0.1"):
            yield call.words


def pairs(words: list[str]) -> list[tuple[str, str | None]]:
    """Options of a command line with their values; None where none follows."""
    found: list[tuple[str, str | None]] = []
    for word, after in zip(words, [*words[1:], "--"][: len(words)], strict=True):
        if word.startswith("--"):
            found.append((word, None if after.startswith("--") else after))
    return found


def check(options: list[tuple[str, str | None]], known: dict[str, Any]) -> None:
    """Every option is known, takes a value or not as written, and knows the value."""
    for name, value in options:
        assert name in known, name
        assert (value is None) == (known[name] == []), (name, value)
        if known[name]:
            assert value in known[name], (name, value)


def as_pairs(settings: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The settings of a file as options of a command line."""
    found: list[tuple[str, str | None]] = []
    for name, value in settings.items():
        if isinstance(value, bool):
            found.append((f"--{name}" if value else f"--no-{name}", None))
        else:
            values = value if isinstance(value, list) else [value]
            found += [(f"--{name}", str(item)) for item in values]
    return found


@each("vllm", "sglang")
def test_files_hold_known_options(engine: str, name: str) -> None:
    known = (VLLM if engine == "vllm" else SGLANG)["options"]
    for file, text in configuration(engine, cases()[name]).items():
        if file.endswith(".yaml"):
            check(as_pairs(yaml.safe_load(text)), known)


@each("vllm", "sglang")
def test_scripts_give_known_options(engine: str, name: str, tmp_path: Path) -> None:
    known = (VLLM if engine == "vllm" else SGLANG)["options"]
    for words in calls(tmp_path, engine, name):
        check(pairs(words), known)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_engine_itself_accepted_every_case(engine: str) -> None:
    """The record was made from these cases: after a change, run `make oracles-engines`."""
    record = VLLM if engine == "vllm" else SGLANG
    assert sorted(record["accepted"]) == sorted(written(engine))


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_routers_know_their_options(engine: str, tmp_path: Path) -> None:
    for name in (name for name, start in cases().items() if start.plan.prefill is not None):
        files = configuration(engine, cases()[name])
        (call,) = starting.run(tmp_path, files, "start-router.sh", "a,b,c,d", "e,f,g,h")
        options = [(word, value) for word, value in pairs(call.words)]
        check(options, ROUTERS[engine]["options"])


@each("llama.cpp")
def test_llama_server_knows_its_options(engine: str, name: str, tmp_path: Path) -> None:
    for words in calls(tmp_path, engine, name):
        assert words[0] == "llama-server"
        check(pairs(words), LLAMA["options"])


@each("trtllm")
def test_trtllm_knows_its_fields(engine: str, name: str, tmp_path: Path) -> None:
    for file, text in configuration(engine, cases()[name]).items():
        if file.endswith(".yaml"):
            read = yaml.safe_load(text)
            tree = {"lora_config.lora_target_modules[]": ["*"]} | TRTLLM["fields"]
            assert not list(fields.strangers(read, tree))
            for path, values in TRTLLM["choices"].items():
                found = at(read, path)
                assert found is None or found in values
    for words in calls(tmp_path, engine, name):
        assert {option for option, _ in pairs(words) if option not in ("-n", "--host")} <= set(
            TRTLLM["command"]
        )


def at(document: Any, path: str) -> Any:
    """What stands at a path, None for nothing."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def test_trtllm_front_is_what_it_reads(tmp_path: Path) -> None:
    name = "two parts on a server"
    files = configuration("trtllm", cases()[name])
    starting.run(tmp_path, files, "start-router.sh", "a", "b")
    read = yaml.safe_load((tmp_path / "router.yaml").read_text())
    assert not list(fields.strangers(read, TRTLLM["router"]))
    assert read["context_servers"] == {"num_instances": 2, "urls": ["a:8100", "a:8101"]}
    assert read["generation_servers"] == {"num_instances": 1, "urls": ["b:8200"]}


@each("k8s", "dynamo")
def test_manifests_have_known_fields(engine: str, name: str) -> None:
    (text,) = configuration(engine, cases()[name]).values()
    for document in yaml.safe_load_all(text):
        tree = PODS.get(document["kind"]) or RESOURCES[document["kind"]]
        assert not list(fields.strangers(document, tree))
        for container in containers(document):
            pod = {"spec": {"containers": [container]}}
            assert not list(fields.strangers(pod, PODS["Pod"]))
            words = container.get("args", [])
            own = [pair for pair in pairs(words) if pair[0] != "--disaggregation-mode"]
            check(own, VLLM["options"])


def containers(document: Any) -> Iterator[dict[str, Any]]:
    """Every container inside a manifest."""
    if isinstance(document, dict):
        yield from document.get("containers", [])
        for value in document.values():
            yield from containers(value)
    elif isinstance(document, list):
        for value in document:
            yield from containers(value)


@each("ray")
def test_ray_knows_its_fields(engine: str, name: str) -> None:
    (text,) = configuration(engine, cases()[name]).values()
    read = yaml.safe_load(text)
    assert set(read) <= set(RAY["fields"][""])
    (application,) = read["applications"]
    assert set(application) <= set(RAY["fields"]["applications[]"])
    given = application["args"]
    for each in given.get("llm_configs") or given.values():
        assert set(each) <= set(RAY["fields"]["configuration"])
        assert set(each["engine_kwargs"]) <= set(RAY["fields"]["engine_kwargs"])
        assert each.get("accelerator_type", "H100") in RAY["accelerators"]


def chips_of(plan: Plan) -> int:
    return plan.group * plan.replicas


REFUSED = {  # engine → cases it cannot run, and why is in the message
    "vllm": {"some experts cut", "graphics card", "desktop", "CPU"},
    "sglang": {
        *("adapters on data ranks", "TPU", "cut contexts"),
        *("graphics card", "desktop", "CPU"),
    },
    "trtllm": {
        *("tensor, data, experts", "AMD", "TPU", "cut contexts"),
        *("graphics card", "desktop", "CPU"),
    },
    "dynamo": {"some experts cut", "AMD", "TPU", "graphics card", "desktop", "CPU"},
    "ray": {
        *("some experts cut", "adapters", "adapters on data ranks", "TPU", "cut contexts"),
        *("graphics card", "desktop", "CPU"),
    },
    "k8s": {
        *("some experts cut", "two parts on a server", "two parts over servers"),
        *("two parts with experts", "host memory in two parts"),
        *("graphics card", "desktop", "CPU"),
    },
}


@pytest.mark.parametrize("engine", REFUSED)
def test_only_what_cannot_be_is_refused(engine: str) -> None:
    assert set(cases()) - set(written(engine)) == REFUSED[engine]
