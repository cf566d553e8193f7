"""One published config.json on three kinds of chips, cost per million tokens side by side."""

from __future__ import annotations

from pathlib import Path

from eke.cli import main

CONFIG = Path(__file__).parent / "qwen3-32b" / "config.json"
CHIPS = ("8xh100-sxm", "8xmi300x", "8xtpu-v5p")

if __name__ == "__main__":
    on = [word for chips in CHIPS for word in ("--on", chips)]
    asked = ["--rate", "4/s", "--prompt", "2000", "--answer", "400"]
    main(["need", "serve", str(CONFIG), *on, *asked, "--picture", "side_by_side.svg"])
