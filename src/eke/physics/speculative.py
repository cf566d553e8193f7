"""Speculative decoding: guessing tokens and checking them in one step."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula


@formula(unit="1", equation="(1 − A^(γ+1)) / (1 − A)", source=("leviathan2023",))
def expected_tokens(*, acceptance: Number, drafts: Number) -> Number:
    """Tokens one step yields on average [1].

    acceptance: chance that a guess is kept [1].  drafts: tokens guessed per step [1].
    """
    A = np.minimum(acceptance, 1 - 1e-9)
    return (1 - A ** (drafts + 1)) / (1 - A)
