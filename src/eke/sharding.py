"""A fleet in shards: several gateways, each with its own policy and its part of the replicas.

A shard knows nothing of the others, so shards run side by side, on the cores of this machine or of
a Ray cluster; how many run at once changes nothing in the result. Conversations are dealt to the
shards in turn.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eke.errors import BadInput, EkeError
from eke.simulating import policy_of
from eke.simulation.deployment import Deployment
from eke.simulation.simulator import Progress, run
from eke.simulation.traffic import traffic as traffic_of
from eke.simulation.traffic.changes import dealt, promised
from eke.simulation.watch import Watch
from eke.types.record import Record, replace
from eke.types.run import COLUMNS, TIMELINE, Run

COMMON = ("seconds",)  # facts that the whole has as each shard has


class Shard(Record):
    """One gateway's part. traffic: in words, with `seed`; this is part `number` of `shards`.
    ttft: promised where nothing is [s]."""

    deployment: Deployment
    traffic: str
    policy: str
    watch: Watch
    number: int
    shards: int
    seed: int = 0
    skip_bad: bool = False
    ttft: float | None = None


def shards_of(
    deployment: Deployment, traffic: str, policy: str, watch: Watch, shards: int, **others: Any
) -> list[Shard]:
    """A deployment and its traffic in so many shards. Raises BadInput where a shard would have no
    replica of its own."""
    least = min(half.count for half in deployment.halves)
    if not 1 <= shards <= least:
        raise BadInput(
            f"{shards} shards of {least} replicas; each shard needs one, so from 1 to {least}."
        )
    scaling = watch.scaling
    if scaling is not None:
        watch = replace(watch, scaling=replace(scaling, least=max(scaling.least // shards, 1)))
    return [
        Shard(
            deployment=_part(deployment, number, shards),
            traffic=traffic,
            policy=policy,
            watch=watch,
            number=number,
            shards=shards,
            **others,
        )
        for number in range(shards)
    ]


def _part(whole: Deployment, number: int, shards: int) -> Deployment:
    halves = tuple(
        replace(half, count=half.count // shards + (number < half.count % shards))
        for half in whole.halves
    )
    return replace(whole, halves=halves)


def sharded(
    shards: Sequence[Shard],
    processes: int = 1,
    ray: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """What happens in all shards. processes: at once on this machine.  ray: address of a cluster
    that does it instead."""
    with TemporaryDirectory(prefix="eke-shards-") as folder:
        done = _on_ray(shards, ray) if ray else _here(shards, folder, processes)
        parts: dict[int, Run] = {}
        for number, part in done:
            parts[number] = part
            if progress is not None:
                progress(part.end, sum(map(len, parts.values())))
        return _together([parts[number] for number in range(len(shards))], shards[0])


def alone(shard: Shard) -> Run:
    """What happens in one shard."""
    whole = traffic_of(shard.traffic, seed=shard.seed, skip_bad=shard.skip_bad)
    part = dealt(promised(whole, shard.ttft), shard.number, shard.shards)
    seed = shard.seed * shard.shards + shard.number
    machine = policy_of(shard.policy)
    return run(shard.deployment, part, machine, shard.watch, label=shard.policy, seed=seed)


def _here(shards: Sequence[Shard], folder: str, processes: int) -> Iterator[tuple[int, Run]]:
    """On this machine; a process leaves its columns in files, which take no second copy."""
    if processes <= 1:
        yield from ((shard.number, alone(shard)) for shard in shards)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way = {
            pool.submit(_to_file, shard, str(Path(folder, str(shard.number)))): shard.number
            for shard in shards
        }
        for finished in as_completed(under_way):
            try:
                stem = finished.result()
            except BrokenProcessPool:
                raise BadInput(
                    "the process of a shard was killed, most likely for want of memory; run fewer "
                    "at once (--processes), or more and smaller shards."
                ) from None
            yield under_way[finished], _from_file(stem)


def _to_file(shard: Shard, stem: str) -> str:
    found = alone(shard)
    for name, column in found.requests.items():
        np.save(f"{stem}-{name}.npy", column)
    with open(f"{stem}.pickle", "wb") as file:
        pickle.dump(replace(found, requests={}), file)
    return stem


def _from_file(stem: str) -> Run:
    with open(f"{stem}.pickle", "rb") as file:
        found: Run = pickle.load(file)  # written by this program a moment ago
    columns = {name: np.load(f"{stem}-{name}.npy", mmap_mode="r") for name in COLUMNS}
    return replace(found, requests=columns)


def _on_ray(shards: Sequence[Shard], address: str) -> Iterator[tuple[int, Run]]:
    """On the machines of a Ray cluster."""
    from eke.joining import joined

    with joined(address) as ray:
        remote = ray.remote(num_cpus=1, max_retries=2)(alone)
        under_way = {remote.remote(shard): shard.number for shard in shards}
        while under_way:
            finished, _ = ray.wait(list(under_way), num_returns=1)
            for handle in finished:
                try:
                    yield under_way.pop(handle), ray.get(handle)
                except ray.exceptions.RayTaskError as error:
                    cause = error.cause
                    raise cause if isinstance(cause, EkeError) else error from None


def _together(parts: Sequence[Run], first: Shard) -> Run:
    """The runs of all shards as one, requests in the order in which they came."""
    codes = {name: _codes([part.names[name] for part in parts]) for name in parts[0].names}
    order = np.argsort(np.concatenate([part.requests["arrived"] for part in parts]), kind="stable")
    offsets = np.cumsum([0, *(_replicas(part) for part in parts)])
    requests = {}
    for name in COLUMNS:
        columns = [part.requests[name] for part in parts]
        if name in codes:
            columns = [new[old] for old, new in zip(columns, codes[name][1], strict=True)]
        if name == "replica":
            columns = [np.where(c >= 0, c + o, -1) for c, o in zip(columns, offsets, strict=False)]
        requests[name] = np.concatenate(columns)[order].astype(COLUMNS[name][0], copy=False)
    remarks = dict.fromkeys(remark for part in parts for remark in part.remarks)
    if len(parts) > 1:
        said = f"{len(parts)} gateways, each with its part of the replicas and of the traffic"
        remarks = {said: None} | remarks
    return Run(
        label=first.policy,
        end=max(part.end for part in parts),
        requests=requests,
        names={name: words for name, (words, _) in codes.items()},
        timeline=_timeline(parts, offsets),
        seed=first.seed,
        facts=_facts(parts),
        remarks=tuple(remarks),
    )


def _replicas(part: Run) -> int:
    return int(np.max(part.timeline["replica"], initial=-1)) + 1


def _codes(names: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[Any]]:
    """All names once, and for each shard its codes in them."""
    known: dict[str, int] = {}
    for each in names:
        for name in each:
            known.setdefault(name, len(known))
    return tuple(known), [np.array([known[name] for name in each] or [0]) for each in names]


def _timeline(parts: Sequence[Run], offsets: Any) -> dict[str, Any]:
    """Samples of all replicas, at the times when every shard was looked at."""
    shared = set(parts[0].timeline["time"].tolist())
    for part in parts[1:]:
        shared &= set(part.timeline["time"].tolist())
    times = np.array(sorted(shared))
    lines, queued = [], np.zeros(len(times), dtype=np.int64)
    for part, offset in zip(parts, offsets, strict=False):
        line = part.timeline
        rows = np.isin(line["time"], times)
        one = {name: column[rows] for name, column in line.items()}
        one["replica"] = (one["replica"] + offset).astype(np.int32)
        queued += one["queued"][one["replica"] == offset]
        lines.append(one)
    columns = {name: np.concatenate([line[name] for line in lines]) for name in TIMELINE}
    columns["queued"] = queued[np.searchsorted(times, columns["time"])].astype(np.int32)
    order = np.lexsort((columns["replica"], columns["time"]))
    return {name: column[order] for name, column in columns.items()}


def _facts(parts: Sequence[Run]) -> dict[str, float]:
    found = {}
    for name in parts[0].facts:
        values = [part.facts[name] for part in parts if name in part.facts]
        found[name] = max(values) if name in COMMON else sum(values)
    return found
