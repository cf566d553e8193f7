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
from eke.calibrate.tables import LEFT_OVER, Spreads, spread, spreads
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
    """Learn every value from measurements, and see how well what is left out is predicted."""
    blocks, skipped = blocks_of(rows)
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
    now = made.fitted.design
    own = np.array([spread(made.fitted, i) for i in range(len(made.fitted.at))])
    for index, each in enumerate(made.fitted.space.parameters):
        if each.name in LEFT_OVER:
            own[index] = 0.0
    regime = np.array(now.names["regime"])[now.labels["regime"]]
    training = ~np.char.startswith(regime, "inference")
    keys = ("any", TRAINING) if by == "engine" else ("serve", "train")
    scatter = np.where(training, made.over.scatter[keys[1]], made.over.scatter[keys[0]])
    first = np.where(regime == "inference queued", made.over.first[keys[0]], 0.0)
    return np.sqrt(((now.moves * own) ** 2).sum(axis=1) + scatter**2 + first**2)


def with_own(made: Refit, seed: int = 1) -> Any:
    """Predictions of left-out publishers' rows once a random row of each of their stacks is known;
    that row itself is NaN. The level of the stack moves by its share of what the row missed, and
    so do the values the row rests on."""
    now, left = made.fitted.design, made.left["publisher"]
    own = np.array([spread(made.fitted, i) for i in range(len(made.fitted.at))])
    wide = widths(made, "publisher")
    chance = np.random.default_rng(seed)
    found = np.full(len(wide), np.nan)
    stacks = now.labels["stack"] * (now.labels["chip"].max() + 1) + now.labels["chip"]
    levels = {"scatter": 0, "first": 1}
    moves = now.moves * own
    for index, each in enumerate(made.fitted.space.parameters):
        if each.name in levels:
            moves[:, index] = 0.0
    apart = np.sqrt((moves**2).sum(axis=1))
    rest = np.sqrt(np.maximum(wide**2 - apart**2, 1e-6))
    for stack in np.unique(stacks):
        rows = np.flatnonzero((stacks == stack) & np.isfinite(left.predicted))
        if len(rows) < 2:
            continue
        pick = chance.choice(rows)
        shared = moves[rows] @ moves[pick] + 0.75 * rest[rows] * rest[pick]
        gain = shared / (apart[pick] ** 2 + rest[pick] ** 2)
        found[rows] = left.predicted[rows] + gain * (now.measured[pick] - left.predicted[pick])
        found[pick] = np.nan
    return found
