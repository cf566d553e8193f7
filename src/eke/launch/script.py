"""Shell scripts and comment headers, as every configuration carries them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from eke.launch.nodes import nodes
from eke.launch.start import Start
from eke.launch.yaml import comments
from eke.physics.train import learning_sequence
from eke.types.job import Align, Serve

BASH = "#!/usr/bin/env bash"
CAREFUL = "set -euo pipefail"


def header(start: Start, *notes: str) -> str:
    """Comment lines: the command that wrote the file, what eke expects, and notes."""
    return comments((*named(start), *notes))


def named(start: Start) -> tuple[str, str]:
    """The lines every file begins with."""
    return f"Written by: {start.command}", f"Expects: {expected(start)}"


def expected(start: Start) -> str:
    """The chips and the layout in one line."""
    plan = start.plan
    names = ("tensor", "pipeline", "virtual", "context", "expert", "data", "replicas")
    degrees = [f"{name} {getattr(plan, name)}" for name in names if getattr(plan, name) > 1]
    shard = [f"shard {plan.shard}"] if plan.shard else []
    layout = ", ".join([*degrees, *shard]) or "one rank"
    job = start.job
    if isinstance(job, Serve):
        return f"{plan.chips:,} × {plan.chip}; {layout}; {plan.batch} sequences in flight"
    batch = f"{plan.batch:,} sequences a step, {plan.micro_batch} at once"
    if not isinstance(job, Align):
        batch += f", of {learning_sequence(job):,} tokens"
    return f"{plan.chips:,} × {plan.chip} on {nodes(start).text}; {layout}; {batch}"


def bash(start: Start, lines: Iterable[str], *notes: str) -> str:
    """A script that stops at the first failure."""
    return "\n".join([BASH, header(start, *notes) + CAREFUL, *lines]) + "\n"


def needed(name: str, meaning: str) -> str:
    """A line that stops the script, saying what is missing, where a variable is not set."""
    said = re.sub(r"[^\w .,:;()/=-]", "", meaning)  # the shell reads it as text of its own
    return f': "${{{name}:?set {name} to {said}}}"'


def usual(name: str, value: str) -> str:
    """A line that sets a variable where nobody else has."""
    return f': "${{{name}:={value}}}"'


Value = str | int | float | bool | tuple[str, ...] | None


class Raw(str):
    """Text of a script that stays as it is: a variable to be expanded."""


def command(program: str, options: Mapping[str, Value], *rest: str) -> str:
    """A command over several lines; True is a bare flag, None and False leave an option out."""
    parts = [program, *(_option(name, value) for name, value in options.items()), *rest]
    return " \\\n  ".join(part for part in parts if part)


def _option(name: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f"--{name}"
    several = value if isinstance(value, tuple) else (value,)
    return f"--{name} {' '.join(word(each) for each in several)}"


def word(value: object) -> str:
    """One argument, quoted where the shell would read it otherwise."""
    if isinstance(value, Raw):
        return f'"{value}"'
    return shlex.quote(f"{value:g}" if isinstance(value, float) else str(value))


def torchrun(start: Start) -> tuple[list[str], str]:
    """Lines before the launch, and torchrun for all servers: the same script runs on each."""
    here = nodes(start)
    if here.count == 1:
        return [], f"torchrun --standalone --nproc-per-node {here.each}"
    asks = needed("HEAD", "host:port of the first server, the same on all of them")
    meets = '--rdzv-backend c10d --rdzv-endpoint "$HEAD" --rdzv-id "${SLURM_JOB_ID:-eke}"'
    return [asks], f"torchrun --nnodes {here.count} --nproc-per-node {here.each} {meets}"
