"""Demand for chips over the years: how users grow, and the chips that their asks and the training
of models take."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="1", equation="now × (1 + growth)^years", source=("eke-derived",))
def grown(*, now: Number, growth: Number, years: Number) -> Number:
    """What grows by the same share every year [1].

    now: today [1].  growth: more each year, as a share [1].  years: from now [1].
    """
    return now * (1 + growth) ** years


@formula(unit="1", equation="L / (1 + (L / n − 1) e^(−k t))", source=("verhulst1838",))
def logistic_users(*, ceiling: Number, now: Number, growth: Number, years: Number) -> Number:
    """Users who spread along a logistic curve [1].

    ceiling: who will ever use it [1].  now: who use it today [1].  growth: of the first ones, more
    each year as a share [1].  years: from now [1].
    """
    L, n, k, t = ceiling, now, np.log(1 + growth), years
    return L / (1 + (L / n - 1) * np.exp(-k * t))


@formula(
    unit="1", equation="(1 − e^(−(p + q) t)) / (1 + (q / p) e^(−(p + q) t))", source=("bass1969",)
)
def bass_share(*, innovation: Number, imitation: Number, years: Number) -> Number:
    """Share of those who will ever adopt who have [1].

    innovation: who adopt by themselves, a year [1].  imitation: who adopt because others did, a
    year [1].  years: since there is something to adopt [1].
    """
    p, q, t = innovation, imitation, years
    return (1 - np.exp(-(p + q) * t)) / (1 + q / p * np.exp(-(p + q) * t))


@formula(unit="1", equation="ln((1 + q f / p) / (1 − f)) / (p + q)", source=("bass1969",))
def bass_years(*, innovation: Number, imitation: Number, share: Number) -> Number:
    """Years after which that share has adopted [1].

    innovation: who adopt by themselves, a year [1].  imitation: who adopt because others did, a
    year [1].  share: who have adopted, of those who ever will [1].
    """
    p, q, f = innovation, imitation, share
    return np.log((1 + q * f / p) / (1 - f)) / (p + q)


@formula(unit="1", equation="K (1 − r) + S", source=("eke-derived",))
def fleet_stock(*, standing: Number, retired: Number, shipped: Number) -> Number:
    """Chips that stand after a period [1].

    standing: before it [1].  retired: share of them taken out in it [1].  shipped: put up in it
    [1].
    """
    K, r, S = standing, retired, shipped
    return K * (1 - r) + S


@formula(unit="s", equation="2 N T / (F u)", source=("kaplan2020",))
def answer_chip_time(
    *, parameters: Number, tokens: Number, peak: Number, utilisation: Number
) -> Number:
    """Time of a chip that one ask takes, by the rule of thumb [s].

    parameters: of the model, active ones, one FLOP each [FLOP].  tokens: read and written [1].
    peak: of one chip [FLOP/s].  utilisation: share of the peak reached [1].
    """
    N, T, F, u = parameters, tokens, peak, utilisation
    return 2 * N * T / (F * u)


@formula(unit="s", equation="6 N D / (F u)", source=("kaplan2020",))
def training_chip_time(
    *, parameters: Number, tokens: Number, peak: Number, utilisation: Number
) -> Number:
    """Time of chips that one training run takes, by the rule of thumb [s].

    parameters: of the model, active ones, one FLOP each [FLOP].  tokens: trained on [1].  peak: of
    one chip [FLOP/s].  utilisation: share of the peak reached [1].
    """
    N, D, F, u = parameters, tokens, peak, utilisation
    return 6 * N * D / (F * u)


@formula(unit="1", equation="asks × time × peak / (mean × room)", source=("little1961",))
def serving_chips(
    *, asks: Number, chip_time: Number, peak_over_mean: Number, room: Number
) -> Number:
    """Chips that answer so many asks at the busiest hour [1].

    asks: on average [1/s].  chip_time: of one chip, per ask [s].  peak_over_mean: asks of the
    busiest hour over those of a mean one [1].  room: largest share of the throughput planned with
    [1].
    """
    return asks * chip_time * peak_over_mean / room


@formula(unit="1", equation="companies × runs × time / within", source=("little1961",))
def training_chips(*, companies: Number, runs: Number, chip_time: Number, within: Number) -> Number:
    """Chips busy with training [1].

    companies: which train [1].  runs: of each in that time [1].  chip_time: of all chips of a run
    [s].  within: the time for all runs of a company [s].
    """
    return companies * runs * chip_time / within


@formula(unit="1", equation="ratio^(−ε)", source=("marshall1890",))
def elastic_demand(*, price_ratio: Number, elasticity: Number) -> Number:
    """Demand over what it was, after a price changed [1].

    price_ratio: the price over what it was [1].  elasticity: percent of demand lost for a percent
    of price [1].
    """
    return price_ratio ** (-elasticity)


@formula(unit="1", equation="wafers × chips × yield", source=("eke-derived",))
def packaged_chips(*, wafers: Number, per_wafer: Number, yielded: Number) -> Number:
    """Chips out of so many wafers of packaging [1].

    wafers: of interposers [1].  per_wafer: chips placed on one [1].  yielded: share that works [1].
    """
    return wafers * per_wafer * yielded


@formula(unit="1", equation="n F / G", source=("eke-derived",))
def equivalents(*, chips: Number, peak: Number, reference: Number) -> Number:
    """Chips of another kind with the same peak [1].

    chips: of the one kind [1].  peak: of one of them [FLOP/s].  reference: peak of the other kind
    [FLOP/s].
    """
    return chips * peak / reference
