"""Texts in pieces that stand for tokens: words, parts of long ones, digits, signs.

No tokenizer of any model: about four characters of English each, the same for prompts and answers,
so that an answer sent back in the next prompt is found in the cache again.
"""

from __future__ import annotations

import re

PIECE = re.compile(
    r" ?[A-Za-z]{1,7}"  # a word with the space before it, or a part of a long one
    r"| ?\d{1,3}"
    r"| ?[^\W\d_A-Za-z]{1,2}"  # letters of other alphabets
    r"|\s+"
    r"|[^\w\s]{1,3}"
    r"|."
)


def pieces(text: str) -> list[str]:
    """The text cut into tokens; joined, they are the text again."""
    return PIECE.findall(text)
