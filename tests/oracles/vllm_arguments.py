"""Parse what eke writes with vLLM's own parser of `vllm serve`, and record what it knows.

Beyond parsing, vLLM makes its whole configuration of every case, with the model's config.json
beside no weights: degrees that do not divide, or formats that do not go together, fail there.

Run by `make oracles-engines` where vLLM is installed. The record is what the light test
`test_launch_arguments.py` compares eke's options with.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["VLLM_LOGGING_LEVEL"] = "ERROR"

import arguments
import starting
import vllm
from launch_cases import cases
from vllm.config import SpeculativeConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

from eke.catalog.models import model_file
from eke.errors import BadInput
from eke.launch import configuration
from eke.launch import vllm as written
from eke.launch.serving import Half, halves
from eke.launch.start import Start


def parser() -> FlexibleArgumentParser:
    """As `vllm serve` makes it."""
    return make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))


def accept(words: list[str], folder: Path) -> None:
    """Parse the words after `vllm`, and make the engine's arguments of them."""
    serve, *rest = words
    assert serve == "serve"
    placed = [str(folder / word) if word.endswith(".yaml") else word for word in rest]
    read = parser().parse_args(placed)
    validate_parsed_serve_args(read)
    assert not (read.headless and read.api_server_count)
    engine = AsyncEngineArgs.from_cli_args(read)
    known = {field.name for field in dataclasses.fields(SpeculativeConfig)}
    assert set(engine.speculative_config or {}) <= known
    check_nodes(engine)


def check_nodes(engine: AsyncEngineArgs) -> None:
    """Ranks must divide over the servers."""
    ranks = engine.tensor_parallel_size * engine.pipeline_parallel_size
    ranks *= engine.prefill_context_parallel_size * engine.data_parallel_size
    assert ranks % engine.nnodes == 0, (ranks, engine.nnodes)
    assert 0 <= engine.node_rank < engine.nnodes


QUANTISED = {  # what the config.json of a quantised checkpoint says besides
    "int4": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
}


def configure(start: Start, half: Half, folder: Path) -> None:
    """Let vLLM make its configuration of a part, on the model's config.json.

    Contexts are cut by a runner that needs Triton, which a machine without a GPU has not.
    """
    if half.plan.context > 1:
        return
    config = dict(model_file(start.job.model.id).config)
    if start.plan.weights == "int4" or start.job.model.weight_format == "fp8":
        config["quantization_config"] = QUANTISED[half.plan.weights]
    (folder / "config.json").write_text(json.dumps(config))
    words = written.as_options(written.arguments(start, half) | {"model": str(folder)})
    read = parser().parse_args(["--skip-tokenizer-init", "--load-format", "dummy", *words])
    AsyncEngineArgs.from_cli_args(read).create_engine_config()


def scripts(files: dict[str, str]) -> list[str]:
    """Those that start servers."""
    return [name for name in files if name.endswith(".sh") and "router" not in name]


def main() -> None:
    accepted: dict[str, Any] = {}
    for name, start in cases().items():
        try:
            files = configuration("vllm", start)
            parts = halves(start, "vllm")
        except BadInput as error:
            print(f"{name:28} not for vLLM: {error}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            for script in scripts(files):
                for call in starting.run(folder, files, script, "0", "10.0.0.1"):
                    accept(call.words[1:], folder)
            for half in parts:  # the same as words, which Dynamo and Kubernetes take
                accept(["serve", *written.as_options(written.arguments(start, half))], folder)
                configure(start, half, folder)
        accepted[name] = sorted(
            {f"--{key}" for half in parts for key in written.arguments(start, half)}
        )
        print(f"{name:28} accepted", file=sys.stderr)
    known = arguments.options(parser())
    arguments.write("vllm_arguments.json", f"vllm {vllm.__version__}", known, accepted=accepted)


if __name__ == "__main__":
    main()
