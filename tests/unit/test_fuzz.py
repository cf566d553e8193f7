"""Ten thousand mangled inputs end in an answer or a clear error."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import CASES, fuzz


def test_mangled_input_never_breaks_it(tmp_path: Path) -> None:
    assert sum(count for _, count in CASES) >= 10_000
    failures = fuzz(2026, tmp_path)
    assert not failures, "\n".join(failures[:10])
