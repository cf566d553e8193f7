"""One number of the user's own, as it is said on the command line.

`tpot 31ms @ batch 16`; `throughput 4200 tok/s @ users 64, prompt 2000, answer 300`; `mfu 41%`.
"""

from __future__ import annotations

import re

from eke.errors import BadInput, BadQuantity, closest
from eke.types.record import Record
from eke.units import quantity

EXAMPLE = '"tpot 31ms @ batch 16"'
LONGEST = 300  # characters


class Metric(Record):
    """What can be measured. unit: of its value in SI.  column: its name in the tables, whose
    numbers are the SI value times `scale`.
    """

    unit: str
    column: str
    scale: float = 1.0


METRICS = {
    "ttft": Metric(unit="s", column="ttft_ms", scale=1e3),
    "tpot": Metric(unit="s", column="tpot_ms", scale=1e3),
    "itl": Metric(unit="s", column="itl_ms", scale=1e3),
    "latency": Metric(unit="s", column="e2e_latency_s"),
    "throughput": Metric(unit="token/s", column="output_tokens_per_sec_total"),
    "total throughput": Metric(unit="token/s", column="total_tokens_per_sec"),
    "prefill": Metric(unit="token/s", column="prefill_tokens_per_sec"),
    "decode": Metric(unit="token/s", column="decode_tokens_per_sec"),
    "requests": Metric(unit="1/s", column="requests_per_sec"),
    "step": Metric(unit="s", column="iteration_time_s"),
    "tokens per chip": Metric(unit="token/s", column="tokens_per_sec_per_chip"),
    "flops": Metric(unit="FLOP/s", column="tflops_per_chip", scale=1e-12),
    "mfu": Metric(unit="1", column="mfu"),
    "time to train": Metric(unit="s", column="time_to_train_h", scale=1 / 3600),
}
CONDITIONS = {
    "batch": "1",
    "users": "1",
    "rate": "1/s",
    "prompt": "token",
    "answer": "token",
    "sequence": "token",
}
_HEAD = re.compile(r"([A-Za-z][A-Za-z _-]*?)[\s:=]+([-+.\d].*)", re.S)
_CONDITION = re.compile(r"([A-Za-z]+)\s*[\s:=]\s*([-+.\d]\S*)|(\S*\d\S*)\s+([A-Za-z]+)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)\Z", re.I)


class Measured(Record):
    """A measured number. metric: one of METRICS.  value: in SI.  conditions: in SI, those of
    CONDITIONS and `percentile`, without which the value is a mean.
    """

    metric: str
    value: float
    conditions: dict[str, float]

    @property
    def column(self) -> str:
        """Its name in the tables of measurements."""
        return METRICS[self.metric].column

    @property
    def in_table(self) -> float:
        """The value in the unit of the tables."""
        return self.value * METRICS[self.metric].scale


def parse_measured(text: str) -> Measured:
    """What a text such as "tpot 31ms @ batch 16" says. Raises BadInput with what is allowed."""
    if len(text) > LONGEST:
        raise BadInput(f"a measurement of {len(text)} characters; expected one such as {EXAMPLE}.")
    said, _, rest = text.partition("@")
    match = _HEAD.fullmatch(said.strip())
    if match is None:
        raise BadInput(
            f"{text[:60]!r} is no measurement: expected a metric, its value and its unit, and "
            f"after @ the conditions, such as {EXAMPLE}. Metrics: {', '.join(METRICS)}."
        )
    metric = _metric(match[1])
    value = _above_zero(metric, match[2].strip(), METRICS[metric].unit)
    if metric == "mfu" and value > 1:
        raise BadInput(f"mfu {match[2].strip()[:20]!r} is above 1; expected a share such as 41%.")
    return Measured(metric=metric, value=value, conditions=_conditions(rest))


def _metric(written: str) -> str:
    name = re.sub(r"[\s_-]+", " ", written.strip()).casefold()
    if name not in METRICS:
        near = closest(name, METRICS)
        hint = f"; closest: {near}" if near else ""
        raise BadInput(
            f"no metric {written[:40]!r}{hint}. Metrics: {', '.join(METRICS)}, as in {EXAMPLE}."
        )
    return name


def _conditions(written: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in re.split(r"[,;]|\band\b", written):
        if not part.strip():
            continue
        name, value = _condition(part.strip())
        if name in found:
            raise BadInput(f"{name} is given twice in {written.strip()[:60]!r}.")
        found[name] = value
    return found


def _condition(part: str) -> tuple[str, float]:
    if percentile := _PERCENTILE.match(part):
        return "percentile", float(percentile[1])
    match = _CONDITION.fullmatch(part)
    name = (match[1] or match[4]).casefold() if match else ""
    if match is None or name not in CONDITIONS:
        near = closest(name or part, CONDITIONS)
        hint = f"; closest: {near}" if near else ""
        raise BadInput(
            f"{part[:40]!r} is no condition{hint}. Conditions: {', '.join(CONDITIONS)} with a "
            f"number, or a percentile such as p99, as in {EXAMPLE}."
        )
    return name, _above_zero(name, match[2] or match[3], CONDITIONS[name])


def _above_zero(name: str, written: str, unit: str) -> float:
    try:
        value = quantity(written, unit)
    except BadQuantity as error:
        raise BadInput(f"{name}: {error} For example {EXAMPLE}.") from None
    if value <= 0:
        raise BadInput(f"{name} is {written[:40]!r}; it must be above zero.")
    return value
