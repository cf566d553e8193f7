"""The whole of learning from measurements: read, fit, leave out, and what is left over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eke.calibrate.blocks import Block
from eke.calibrate.cross import LeftOut, leave_out
from eke.calibrate.fit import Fitted, fit
from eke.calibrate.ledger import blocks_of
from eke.calibrate.parameters import EIGHTY, TRAINING, space
from eke.calibrate.rows import Row
from eke.calibrate.spans import LEVEL_SHARE
from eke.calibrate.tables import (
    LEFT_OVER,
    Spreads,
    apart_from,
    moves_of,
    spread,
    spreads,
)
from eke.catalog.engines import engines
from eke.errors import BadInput
from eke.types.record import Record

THROUGHPUT = (
    *("output_tokens_per_sec_total", "total_tokens_per_sec"),
    *("requests_per_sec", "tokens_per_sec_per_chip"),
)
PER_TOKEN = ("tpot_ms", "itl_ms")


class Refit(Record):
    """fitted: the learnt values.  left: predictions of what was left out, by what.  over: what
    the physics leaves over.  does: what each engine does."""

    fitted: Fitted
    blocks: list[Block]
    left: dict[str, LeftOut]
    over: Spreads
    does: dict[str, str]


def refit(rows: list[Row], tell: Callable[[str], None] = lambda _: None) -> Refit:
    """Learn every value from measurements, and see how well what is left out is predicted.

    Results of MLPerf Inference, which state neither layout nor lengths, are not learnt from.
    """
    blocks, skipped = blocks_of([row for row in rows if not row.is_mlperf])
    if not blocks:
        why = f"; the first: {skipped[0].reason}" if skipped else ""
        raise BadInput(f"none of the {len(rows)} rows can be predicted, so nothing is learnt{why}")
    does = {each.id: each.does for each in engines()}
    used = {name for block in blocks for name in block.tables[1:]} - {"", TRAINING}
    begin = space({block.tables[0] for block in blocks}, {name: does[name] for name in used})
    fitted = fit(blocks, begin, tell)
    left: dict[str, LeftOut] = {
        by: leave_out(fitted, blocks, by, tell) for by in ("publisher", "engine", "chip")
    }
    over = spreads(fitted, left["publisher"], left["engine"])
    return Refit(fitted=fitted, blocks=blocks, left=left, over=over, does=dict(does))


class Error(Record):
    """Errors of one group of rows. median, ninetieth: of the absolute error.  bias: predicted over
    measured, median.  sources: median over publishers of their medians.  coverage, width: of the
    80 % span, where there is one."""

    group: str
    rows: int
    median: float
    ninetieth: float
    bias: float
    sources: float
    coverage: float
    width: float


def groups(made: Refit) -> dict[str, Any]:
    """Which rows belong to each line of the targets."""
    now = made.fitted.design
    regime = np.array(now.names["regime"])[now.labels["regime"]]
    metric = np.array([row.metric for block in made.blocks for row in block.rows])
    tuning = np.char.startswith(regime, "tuning") | np.char.startswith(regime, "alignment")
    return {
        "training, dense": regime == "training dense",
        "training, MoE": regime == "training moe",
        "fine-tuning, LoRA, RL": tuning,
        "inference, static batch and single stream": regime == "inference static",
        "inference, saturated throughput": (regime == "inference saturated")
        & np.isin(metric, THROUGHPUT),
        "inference, online time per token": (regime == "inference online")
        & np.isin(metric, PER_TOKEN),
        "inference, online throughput and latency": (regime == "inference online")
        & ~np.isin(metric, PER_TOKEN),
        "inference, waiting under load": regime == "inference queued",
    }


def errors(made: Refit, predicted: Any, wide: Any = None) -> list[Error]:
    """Errors by group of rows; NaN in `predicted` leaves a row out."""
    now = made.fitted.design
    who = now.labels["publisher"]
    found = []
    for name, rows in groups(made).items():
        kept = rows & np.isfinite(predicted)
        if not kept.any():
            continue
        rest = predicted[kept] - now.measured[kept]
        size = np.abs(np.expm1(rest))
        medians = [np.median(size[who[kept] == each]) for each in np.unique(who[kept])]
        inside = width = float("nan")
        if wide is not None:
            inside = float(np.mean(np.abs(rest) <= EIGHTY * wide[kept]))
            width = float(np.median(np.exp(2 * EIGHTY * wide[kept])))
        found.append(
            Error(
                group=name,
                rows=int(kept.sum()),
                median=float(np.median(size)),
                ninetieth=float(np.quantile(size, 0.9)),
                bias=float(np.exp(np.median(rest))),
                sources=float(np.median(medians)),
                coverage=inside,
                width=width,
            )
        )
    return found


def widths(made: Refit, by: str) -> Any:
    """Standard deviation of every row's prediction when its group is left out."""
    level, special, apart = _parts(made, by)
    return np.sqrt(apart**2 + level**2 + special**2)


def _parts(made: Refit, by: str) -> tuple[Any, Any, Any]:
    """Signed standard deviations of each prediction: of `scatter`, of `full` or `first`, and
    (unsigned) of everything else."""
    now, over = made.fitted.design, made.over
    regime = np.array(now.names["regime"])[now.labels["regime"]]
    engine = np.array(now.names["engine"])[now.labels["engine"]]
    serving = np.char.startswith(regime, "inference")
    general = (
        np.where(serving, "any", TRAINING)
        if by == "engine"
        else np.where(serving, "serve", "train")
    )
    own = [over.scatter.get(name, 0.0) if by != "engine" else 0.0 for name in engine]
    scatter = np.array(
        [mine or over.scatter[str(name)] for mine, name in zip(own, general, strict=True)]
    )
    kind = "any" if by == "engine" else "serve"
    alone = np.where(regime == "inference queued", over.first[kind], 0.0)
    alone = np.where(regime == "inference saturated", over.full[kind], alone)
    sign = np.sign(moves_of(made.fitted, "scatter"))
    routed = moves_of(made.fitted, "grouped") * over.experts["train"]
    learning = np.hypot(apart_from(made.fitted, (*LEFT_OVER, "grouped")), routed)
    apart = np.where(serving, apart_from(made.fitted, LEFT_OVER), learning)
    return sign * scatter, sign * alone, apart


def with_own(made: Refit, seed: int = 1) -> Any:
    """Predictions of left-out publishers' rows once a random row of each of their stacks is known;
    that row itself is NaN. What the row missed moves the level of the stack and the values it
    rests on, each by its share, and every other row with them."""
    now, left = made.fitted.design, made.left["publisher"]
    level, special, apart = _parts(made, "publisher")
    own = np.array([spread(made.fitted, i) for i in range(len(made.fitted.at))])
    for index, each in enumerate(made.fitted.space.parameters):
        if each.name in LEFT_OVER:
            own[index] = 0.0
    moves = now.moves * own
    chance = np.random.default_rng(seed)
    found = np.full(len(level), np.nan)
    stacks = now.labels["stack"] * (now.labels["chip"].max() + 1) + now.labels["chip"]
    for stack in np.unique(stacks):
        rows = np.flatnonzero((stacks == stack) & np.isfinite(left.predicted))
        if len(rows) < 2:
            continue
        pick = chance.choice(rows)
        shared = moves[rows] @ moves[pick] + LEVEL_SHARE * level[rows] * level[pick]
        shared = shared + LEVEL_SHARE * special[rows] * special[pick]
        gain = shared / (apart[pick] ** 2 + level[pick] ** 2 + special[pick] ** 2 + 1e-9)
        found[rows] = left.predicted[rows] + gain * (now.measured[pick] - left.predicted[pick])
        found[pick] = np.nan
    return found
