"""Rules of thumb for the FLOP of a model, as published claims use them."""

from __future__ import annotations

from eke.physics.formula import Number, formula


@formula(unit="FLOP", equation="6 N D", source=("kaplan2020",))
def training_flop(*, parameters: Number, tokens: Number) -> Number:
    """FLOP to train a model, attention left out [FLOP].

    parameters: of the model, active ones, one FLOP each [FLOP].  tokens: trained on [1].
    """
    return 6 * parameters * tokens


@formula(unit="FLOP", equation="2 N T", source=("kaplan2020",))
def inference_flop(*, parameters: Number, tokens: Number) -> Number:
    """FLOP to run a model over tokens, attention left out [FLOP].

    parameters: of the model, active ones, one FLOP each [FLOP].  tokens: read and written [1].
    """
    return 2 * parameters * tokens


@formula(unit="s", equation="C / (n F u)", source=("kaplan2020",))
def compute_time(*, flop: Number, chips: Number, peak: Number, utilisation: Number) -> Number:
    """Time for so many FLOP at a share of peak [s].

    flop: in all [FLOP].  chips: at work [1].  peak: of one chip [FLOP/s].  utilisation: share of
    the peak reached [1].
    """
    return flop / (chips * peak * utilisation)
