"""Codes for names that turn up while a stream is read."""

from __future__ import annotations

from typing import Any

import numpy as np


class Names:
    """Names in the order in which they turn up; a code once given stays."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def code(self, codes: Any, names: tuple[str, ...]) -> Any:
        """The common codes for those of one part."""
        common = [self.codes.setdefault(name, len(self.codes)) for name in names]
        return np.array(common, np.int32)[codes]
