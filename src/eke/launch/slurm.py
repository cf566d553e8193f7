"""Slurm: a batch script per allocation, around what another module wrote for the work itself.

Options as the manual of sbatch lists them (slurm.schedmd.com/sbatch.html); those that eke uses are
also in Slurm 22.05, the oldest release a cluster is likely to run.
"""

from __future__ import annotations

import re
from importlib import import_module
from math import ceil

from eke.errors import BadInput
from eke.launch.nodes import nodes
from eke.launch.script import BASH, CAREFUL, header
from eke.launch.servers import chips_per_server
from eke.launch.slurm_serve import Part, parts
from eke.launch.start import Start
from eke.physics.answer import job_kind, pool_of
from eke.types.job import Align, Serve

NAME = "slurm"
WRITERS = {"train": "megatron", "tune": "trl", "align": "verl", "serve": "vllm"}
PORT = 29500  # where the processes of a job meet


def files(start: Start) -> dict[str, str]:
    """The files of the work, and a batch script for each allocation."""
    writer = _writer(start)
    for plan in (start.plan, start.plan.prefill):
        _refuse_others(start, (plan or start.plan).chip)
    inner: dict[str, str] = import_module(f"eke.launch.{writer}").files(start)
    if isinstance(start.job, Serve):
        return {**inner, **{f"{part.name}.sbatch": _serve(start, part) for part in parts(start)}}
    return {**inner, "slurm.sbatch": _learn(start, f"{writer}.sh", inner)}


def _refuse_others(start: Start, chip: str) -> None:
    found = pool_of(start.fleet, chip).chip
    if found.kind != "gpu":
        raise BadInput(
            f"{found.name} is a {found.kind}; eke asks Slurm for GPUs. Write for {_writer(start)} "
            "and start its script as your site starts such chips."
        )


def _writer(start: Start) -> str:
    """What writes the work itself: pairs are learnt from by TRL, whatever the verb."""
    pairs = isinstance(start.job, Align) and start.job.method == "dpo"
    return "trl" if pairs else WRITERS[job_kind(start.job)]


def _learn(start: Start, script: str, inner: dict[str, str]) -> str:
    """One allocation; the same script on every server."""
    here = nodes(start)
    asked = re.findall(r"^: \"\$\{(\w+):\?", inner[script], re.M)
    wanted = [name for name in asked if name not in ("HEAD", "RANK_OF_SERVER")]
    note = f"Before sbatch, export what {script} asks for: {', '.join(wanted)}."
    return _batch(
        start,
        _options(start, job_kind(start.job), here.count, here.each, start.plan.chip),
        (
            f'HEAD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):{PORT}"',
            "export HEAD",
            f"srun --ntasks-per-node=1 --kill-on-bad-exit=1 bash {script}",
        ),
        note,
    )


def _serve(start: Start, part: Part) -> str:
    """One allocation per part; a task per server, each told the first server of its replica."""
    told = f'hosts=($HOSTS); exec bash {part.script} "$SLURM_PROCID"'
    told += f' "${{hosts[SLURM_PROCID / {part.span} * {part.span}]}}"'
    return _batch(
        start,
        _options(start, part.name, part.servers, part.each, part.chip),
        (
            'HOSTS="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr "\\n" " ")"',
            "export HOSTS",
            f"srun --ntasks-per-node=1 bash -c '{told}'",
        ),
        *part.notes,
    )


def _options(start: Start, name: str, count: int, each: int, chip: str) -> dict[str, str | None]:
    """Option → value of the #SBATCH lines; "" is a bare flag, None leaves one out."""
    word = re.sub(r"[^A-Za-z0-9.-]", "-", start.job.model.id)
    within = getattr(start.job, "within", None)
    whole = each == chips_per_server(pool_of(start.fleet, chip))  # then nobody else has use of it
    return {
        "job-name": f"eke-{name}-{word}",
        "nodes": str(count),
        "ntasks-per-node": "1",
        "gpus-per-node": str(each),
        "exclusive": "" if whole else None,
        "mem": "0" if whole else None,
        "time": None if within is None else _time(within),
        "output": "%x-%j.out",
    }


def _time(seconds: float) -> str:
    """Days-hours:minutes:seconds, rounded up to a minute."""
    minutes = max(ceil(seconds / 60), 1)
    return f"{minutes // 1440}-{minutes // 60 % 24:02}:{minutes % 60:02}:00"


def _batch(
    start: Start, options: dict[str, str | None], lines: tuple[str, ...], *notes: str
) -> str:
    """A batch script; Slurm reads its options up to the first command."""
    asked = [
        f"#SBATCH --{name}" + (f"={value}" if value else "")
        for name, value in options.items()
        if value is not None
    ]
    more = [] if options["time"] else ["The job has no deadline: the partition's time limit holds."]
    top = header(start, *notes, *more, "Run sbatch in the folder of these files.")
    return "\n".join([BASH, *asked, top + CAREFUL, 'cd "$SLURM_SUBMIT_DIR"', *lines]) + "\n"
