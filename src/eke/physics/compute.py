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


@formula(
    unit="FLOP",
    equation="72 B s L h² (1 + s/6h + V/16Lh)",
    source=("narayanan2021",),
)
def gpt_step_flop(
    *, batch: Number, sequence: Number, layers: Number, hidden: Number, vocabulary: Number
) -> Number:
    """FLOP of one training step of a GPT with full attention and no recomputation [FLOP].

    batch: sequences [FLOP].  sequence: tokens of each [1].  layers: of the model [1].  hidden:
    width [1].  vocabulary: words [1].
    """
    B, s, L, h, V = batch, sequence, layers, hidden, vocabulary
    return 72 * B * s * L * h * h * (1 + s / (6 * h) + V / (16 * L * h))


@formula(unit="s", equation="C / (n F u)", source=("kaplan2020",))
def compute_time(*, flop: Number, chips: Number, peak: Number, utilisation: Number) -> Number:
    """Time for so many FLOP at a share of peak [s].

    flop: in all [FLOP].  chips: at work [1].  peak: of one chip [FLOP/s].  utilisation: share of
    the peak reached [1].
    """
    return flop / (chips * peak * utilisation)


@formula(unit="1", equation="1.69 + 406.4 / N^0.34 + 410.7 / D^0.28", source=("hoffmann2022",))
def chinchilla_loss(*, parameters: Number, tokens: Number) -> Number:
    """Loss one expects of a dense transformer, in nats per token [1].

    parameters: of the model [1].  tokens: trained on [1].
    """
    return 1.69 + 406.4 / parameters**0.34 + 410.7 / tokens**0.28
