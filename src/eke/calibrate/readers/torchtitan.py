"""torchtitan's log: a line per logged step, and what it says of itself at the start.

Its tps are tokens per second and device of the model-parallel group; its TFLOP/s and MFU count
attention in full, against the 16-bit peak, whatever the matmul format.
"""

from __future__ import annotations

import re

from eke.calibrate.readers.content import Content
from eke.calibrate.readers.run import Run, chip_name, readings
from eke.calibrate.readers.steps import steady

NUMBER = r"(-?[\d,]+\.?\d*|nan|inf)"
STEP = re.compile(r"\bstep: *(\d{1,12})\b")
RATE = re.compile(rf"\b(?:tps|wps): *{NUMBER}")
TFLOPS = re.compile(rf"\btflops: *{NUMBER}")
MFU = re.compile(rf"\bmfu: *{NUMBER}%")
FACTS = {
    "model": re.compile(r"\bModel (\w[\w .-]{0,60}?) size: [\d,]+ total parameters"),
    "chip": re.compile(r"\bcapacity: (\S.{0,60}?) with [\d.]+ ?GiB memory"),
    "global_batch_sequences": re.compile(r"\bglobal batch size:? *(\d+)"),
    "micro_batch": re.compile(r"\blocal batch size:? *(\d+)"),
    "seq_len": re.compile(r"\bsequence length:? *(\d+)"),
}
DEGREES = {"pp": "pp", "cp": "cp", "tp": "tp", "ep": "ep"}
MESH = re.compile(r"device mesh with (?:parallelism: *(.*)|(\[[^\]]{0,200}\]), *(\[[\d, ]*\]))")


def fits(content: Content) -> bool:
    """Whether it has lines of steps."""
    return not content.objects and any(_step(line) for line in content.lines)


def read(content: Content) -> list[Run]:
    """The run of the log."""
    # The same step by several ranks counts once.
    steps = {step: line for line in content.lines if (step := _step(line))}
    rest = list(steps.values())
    facts = {name: pattern.search(content.text) for name, pattern in FACTS.items()}
    said = {name: match[1] for name, match in facts.items() if match}
    said["chip"] = chip_name(said.get("chip", ""))
    return [
        Run(
            table="training",
            columns={
                "framework": "torchtitan",
                **said,
                **_mesh(content.text),
            },
            readings=readings(
                steady("tokens_per_sec_per_chip", _each(RATE, rest), content.path),
                steady("tflops_per_chip", _each(TFLOPS, rest), content.path),
                steady("mfu", _each(MFU, rest), content.path, 0.01),
            ),
            notes="FLOP convention: 6N + 12*L*h*s attention, not halved; peak is the 16-bit one",
        )
    ]


def _step(line: str) -> str:
    """The step a line is of; "" where it is none, or of a validation."""
    rate = RATE.search(line)
    step = STEP.search(line, 0, rate.start()) if rate else None
    return step[1] if step and "validate" not in line[: step.start()] else ""


def _each(pattern: re.Pattern[str], lines: list[str]) -> list[float | None]:
    found = (pattern.search(line) for line in lines)
    return [_number(match[1]) if match else None for match in found]


def _number(written: str) -> float | None:
    try:
        return float(written.replace(",", ""))
    except ValueError:
        return None


def _mesh(whole: str) -> dict[str, str]:
    """The degrees of the device mesh: `['dp_shard', 'tp'], [4, 2]` or `dp_shard=4, tp=2`."""
    match = MESH.search(whole)
    if match is None:
        return {}
    if match[1]:
        sizes = dict(re.findall(r"\b(\w+)=(\d{1,7})\b", match[1]))
    else:
        names = re.findall(r"'(\w+)'", match[2])
        sizes = dict(zip(names, re.findall(r"\d{1,7}", match[3]), strict=False))
    data = 1
    for name in ("dp", "dp_replicate", "dp_shard"):
        data *= int(sizes.get(name, "1"))
    total = data
    for name in ("pp", "cp", "tp"):
        total *= int(sizes.get(name, "1"))
    degrees = {column: sizes[name] for name, column in DEGREES.items() if name in sizes}
    return {**degrees, "dp": str(data), "n_chips": str(total)}
