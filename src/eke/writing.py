"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eke.errors import BadFile


@contextmanager
def whole(path: Path) -> Iterator[str]:
    """The name to write under; it becomes the file's once all is written. Raises BadFile where it
    cannot be."""
    from tempfile import mkstemp

    name = ""
    try:
        handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        yield name
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
    finally:
        Path(name).unlink(missing_ok=True) if name else None


def write_whole(path: Path, text: str) -> None:
    """Write a text whole or not at all. Raises BadFile where it cannot be written."""
    with whole(path) as name:
        Path(name).write_text(text, encoding="utf-8")
