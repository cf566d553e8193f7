"""What a chip costs to make: dies of a wafer, how many are good, package and memory, learning."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(
    unit="1",
    equation="π (d / 2 − e)² / A′ − π (d − 2 e) / √(2 A′),  A′ = (√A + k)²",
    source=("feng2022",),
)
def dies_per_wafer(*, area: Number, diameter: Number, edge: Number, scribe: Number) -> Number:
    """Whole dies that a round wafer yields, good or not [1].

    area: of a die [m2].  diameter: of the wafer [m].  edge: of the wafer that is lost [m].
    scribe: width of the lane between two dies [m].
    """
    d, e = diameter, edge
    lane = (area**0.5 + scribe) ** 2
    return np.pi * (d / 2 - e) ** 2 / lane - np.pi * (d - 2 * e) / (2 * lane) ** 0.5


@formula(unit="1", equation="e^(−A D)", source=("murphy1964",))
def poisson_yield(*, area: Number, defects: Number) -> Number:
    """Share of dies without a defect, where defects fall independently [1].

    area: of a die [m2].  defects: per area [1/m2].
    """
    return np.exp(-area * defects)


@formula(unit="1", equation="((1 − e^(−A D)) / (A D))²", source=("murphy1964",))
def murphy_yield(*, area: Number, defects: Number) -> Number:
    """Share of dies without a defect, where their density varies as a triangle [1].

    area: of a die [m2].  defects: per area [1/m2].
    """
    hits = area * defects
    return ((1 - np.exp(-hits)) / hits) ** 2


@formula(unit="1", equation="1 / (1 + A D)", source=("seeds1967",))
def seeds_yield(*, area: Number, defects: Number) -> Number:
    """Share of dies without a defect, where their density varies exponentially [1].

    area: of a die [m2].  defects: per area [1/m2].
    """
    return 1 / (1 + area * defects)


@formula(unit="1", equation="(1 + (1 − r) A D / c)^(−c)", source=("stapper1989", "feng2022"))
def clustered_yield(*, area: Number, defects: Number, clusters: Number, share: Number) -> Number:
    """Share of dies that can be sold, where defects come in clusters (negative binomial) [1].

    Spare units mend a defect in the share of the area that they can stand in for.

    area: of a die [m2].  defects: per area [1/m2].  clusters: how evenly defects fall; endless is
    Poisson, 1 is Seeds [1].  share: of the area that spares can mend [1].
    """
    c, r = clusters, share
    return (1 + (1 - r) * area * defects / c) ** (-c)


@formula(unit="1/m2", equation="D + (D₀ − D) e^(−t / τ)", source=("eke-derived",))
def learned_defects(*, first: Number, mature: Number, seconds: Number, pace: Number) -> Number:
    """Defects per area once a process has been run for a while [1/m2].

    The density of a new process falls exponentially to that of a mature one.

    first, mature: per area [1/m2].  seconds: of production [s].  pace: time in which the excess
    falls to 1 / e [s].
    """
    return mature + (first - mature) * np.exp(-seconds / pace)


@formula(unit="USD", equation="P / (n Y)", source=("feng2022",))
def good_die_cost(*, wafer: Number, dies: Number, good: Number) -> Number:
    """Cost of a die that works [USD].

    wafer: price of one [USD].  dies: on it [1].  good: share of them that work [1].
    """
    return wafer / (dies * good)


@formula(unit="USD", equation="P (y^(−n) − 1)", source=("feng2022",))
def bonding_loss(*, parts: Number, bond: Number, bonds: Number) -> Number:
    """Good parts lost per package because a bond failed [USD].

    parts: all that goes into a package [USD].  bond: share of bonds that succeed [1].  bonds: in a
    package [1].
    """
    return parts * (bond ** (-bonds) - 1)


@formula(unit="1", equation="(x / x₀)^(log₂ p)", source=("wright1936",))
def learning_factor(*, made: Number, reference: Number, progress: Number) -> Number:
    """Cost of a piece over that at a reference volume, as each doubling saves the same share [1].

    made: pieces so far [1].  reference: pieces at which the cost is known [1].  progress: cost
    after a doubling over that before [1].
    """
    return (made / reference) ** np.log2(progress)


@formula(unit="USD", equation="F / n", source=("eke-derived",))
def fixed_share(*, fixed: Number, pieces: Number) -> Number:
    """What design and masks add to each piece [USD].

    fixed: spent once [USD].  pieces: over which it is spread [1].
    """
    return fixed / pieces


@formula(unit="1", equation="F / s", source=("eke-derived",))
def break_even_pieces(*, fixed: Number, saved: Number) -> Number:
    """Pieces from which what is spent once is earned back [1].

    fixed: spent once [USD].  saved: by each piece, against buying [USD].
    """
    return fixed / saved


@formula(unit="FLOP/s", equation="f W √(S / x) / x", source=("hong1981",))
def fed_speed(*, size: Number, speed: Number, width: Number, work: Number) -> Number:
    """Arithmetic that a memory can feed through tiles kept on the die [FLOP/s].

    A product of matrices moves at least two numbers for each √(S / x) multiply-adds, where the
    die holds S / x numbers.

    size: of the memory on the die [B].  speed: of the memory beside it [B/s].  width: of a number
    [B].  work: operations per number moved, two for every two [FLOP].
    """
    return work * speed / width * (size / width) ** 0.5


@formula(unit="B/s", equation="S / τ", source=("little1961",))
def hidden_speed(*, size: Number, latency: Number) -> Number:
    """Speed at which a memory can be read with that much in flight [B/s].

    size: room on the die for what is under way [B].  latency: from asking to having [s].
    """
    return size / latency


@formula(unit="1", equation="(v + (1 − v) f)²", source=("eke-derived",))
def voltage_energy(*, share: Number, clock: Number) -> Number:
    """Energy of an operation at a lower clock over that at the full one [1].

    Energy goes with the square of the voltage, which falls evenly with the clock.

    share: of the full voltage that would remain at no clock [1].  clock: over the full one [1].
    """
    return (share + (1 - share) * clock) ** 2
