"""Training logs of the Megatron family: Megatron-LM, Megatron-Bridge, Megatron-DeepSpeed, NeMo.

Megatron prints a line of `name: value` per logged iteration, and its arguments before; NeMo the
same with other names. TFLOP/s are of the model, as each of them counts: attention in full or half.
"""

from __future__ import annotations

import re

from eke.calibrate.readers.content import Content
from eke.calibrate.readers.run import Run, readings
from eke.calibrate.readers.steps import steady

NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)"
FIELDS = {
    "elapsed time per iteration (ms)": ("iteration_time_s", 1e-3),
    "elapsed time per iteration (s)": ("iteration_time_s", 1.0),
    "train_step_timing in s": ("iteration_time_s", 1.0),
    "throughput per gpu (tflop/s/gpu)": ("tflops_per_chip", 1.0),
    "compute per gpu (tflop/s/gpu)": ("tflops_per_chip", 1.0),
    "tflops": ("tflops_per_chip", 1.0),
    "tflops_per_gpu": ("tflops_per_chip", 1.0),
    "tokens per gpu (tokens/s/gpu)": ("tokens_per_sec_per_chip", 1.0),
    "tokens per second per gpu (tok/s/gpu)": ("tokens_per_sec_per_chip", 1.0),
    "tokens/s/gpu": ("tokens_per_sec_per_chip", 1.0),
    "tokens per gpu per second (tgs)": ("tokens_per_sec_per_chip", 1.0),
    "tokens_per_sec_per_gpu": ("tokens_per_sec_per_chip", 1.0),
    "global batch size": ("global_batch_sequences", 1.0),
    "global_batch_size": ("global_batch_sequences", 1.0),
}
PAIR = re.compile(rf"([A-Za-z][\w /()-]{{0,50}}?)\s{{0,3}}[:=]\s{{0,20}}{NUMBER}", re.I)
STEP = re.compile(r"elapsed time per iteration|train_step_timing in s *[:=]", re.I)
ITERATION = re.compile(r"(?:iteration|global_step:?)\s+(\d{1,12})", re.I)
BRIDGE = re.compile(rf"Step Time *: *{NUMBER} *s +GPU utilization: *{NUMBER} *MODEL_TFLOP/s/GPU")
LISTED = re.compile(r"train_step_timing in s: *\[([\d., eE+-]*)\]")
ARGUMENT = re.compile(r"^\s*(?:\[[^\]]*\]:?)?\s*(\w+)\s+\.{3,}\s+(\S+)\s*$")
ARGUMENTS = {
    "seq_length": "seq_len",
    "num_layers": "layers",
    "hidden_size": "hidden",
    "num_attention_heads": "heads",
    "num_query_groups": "kv_heads",
    "ffn_hidden_size": "ffn",
    "padded_vocab_size": "vocab",
    "num_experts": "n_experts",
    "moe_router_topk": "top_k",
    "world_size": "n_chips",
    "tensor_model_parallel_size": "tp",
    "pipeline_model_parallel_size": "pp",
    "data_parallel_size": "dp",
    "context_parallel_size": "cp",
    "expert_model_parallel_size": "ep",
    "virtual_pipeline_model_parallel_size": "vpp",
    "global_batch_size": "global_batch_sequences",
    "micro_batch_size": "micro_batch",
    "recompute_granularity": "recompute",
}


def fits(content: Content) -> bool:
    """Whether it has lines of iterations."""
    return not content.objects and (
        STEP.search(content.text) is not None or BRIDGE.search(content.text) is not None
    )


def read(content: Content) -> list[Run]:
    """The run of the log."""
    found: dict[str, dict[str, float]] = {}
    arguments: dict[str, str] = {}
    listed: list[float] = []
    for at, line in enumerate(content.lines):
        if STEP.search(line):
            listed += _listed(line)
            step = ITERATION.search(line)
            found[step[1] if step else f"line {at}"] = _fields(line)
        elif bridge := BRIDGE.search(line):
            values = {"iteration_time_s": float(bridge[1]), "tflops_per_chip": float(bridge[2])}
            found[f"line {at}"] = values
        elif argument := ARGUMENT.match(line):
            arguments.setdefault(argument[1], argument[2])
    steps = [*({"iteration_time_s": each} for each in listed), *found.values()]
    names = ("iteration_time_s", "tokens_per_sec_per_chip", "tflops_per_chip")
    batches = {each["global_batch_sequences"] for each in steps if "global_batch_sequences" in each}
    columns = _columns(arguments)
    if len(batches) == 1:
        columns["global_batch_sequences"] = f"{batches.pop():.0f}"
    nemo = "train_step_timing" in content.text
    notes = "FLOP are of the model, as this release counts them"
    if batches - {0}:
        notes = "SUSPECT: the global batch changed during the log"
    return [
        Run(
            table="training",
            columns={"framework": "NeMo/Megatron-Core" if nemo else "Megatron-LM", **columns},
            readings=readings(
                *(steady(name, (each.get(name) for each in steps), content.path) for name in names)
            ),
            notes=notes,
        )
    ]


def _fields(line: str) -> dict[str, float]:
    found = {}
    for part in line.split("|"):
        for pair in PAIR.finditer(part):
            name, scale = FIELDS.get(pair[1].casefold().strip(), ("", 1.0))
            if name:
                found[name] = float(pair[2]) * scale
    return found


def _listed(line: str) -> list[float]:
    """NeMo's summary of a run: every step's time in one list."""
    match = LISTED.search(line)
    parts = match[1].split(",") if match else []
    return [float(each) for each in parts if re.fullmatch(rf"\s*{NUMBER}\s*", each)]


def _columns(arguments: dict[str, str]) -> dict[str, str]:
    found = {
        column: arguments[name]
        for name, column in ARGUMENTS.items()
        if arguments.get(name, "None") not in ("None", "False")
    }
    if arguments.get("bf16") == "True":
        found["precision"] = "bf16"
    if arguments.get("fp16") == "True":
        found["precision"] = "fp16"
    if arguments.get("fp8", "None") not in ("None", "False"):
        found["precision"] = "fp8"
    return found
