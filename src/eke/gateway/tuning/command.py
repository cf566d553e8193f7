"""The command of a trainer: which program it is, and where its files are."""

from __future__ import annotations

import re
import shlex
from os.path import basename, isfile
from pathlib import Path
from shutil import which

from eke.errors import BadInput

_INTERPRETER = re.compile(r"(ba|da|k|z)?sh|python[\d.]*")  # takes the name of a script first


def command_of(text: str, folder: Path) -> list[str]:
    """The words of a trainer's command; none where there is none.

    Words that name a file of a folder become its path, for the trainer is started elsewhere: in the
    folder of its job. Raises BadInput for what cannot be started.
    """
    where = f"trainer = {text!r:.80}"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{where}: {error}; close what is open.") from None
    if not words:
        return []
    program, rest = _program(words[0], folder, where), [_path(word, folder) for word in words[1:]]
    script = rest[0] if rest and _INTERPRETER.fullmatch(basename(program)) else "-"
    if not script.startswith("-") and not isfile(script):
        hint = f"give its path from {folder}, or a whole one"
        raise BadInput(f"{where}: there is no file {script!r:.80}; {hint}.")
    return [program, *rest]


def _program(word: str, folder: Path, where: str) -> str:
    """What is started: a program on PATH, or a file."""
    found = _path(word, folder) if "/" in word or which(word) is None else word
    if which(found) is not None:
        return found
    if isfile(found):
        raise BadInput(f"{where}: {found} is no program; chmod +x makes it one.")
    hint = f"give one that is on PATH, or its path from {folder}"
    raise BadInput(f"{where}: there is no program {word!r:.80}; {hint}.")


def _path(word: str, folder: Path) -> str:
    """The path of a file in a folder that a word names; of others, the word."""
    path = str(folder / word)
    return path if isfile(path) else word
