"""Write what transformers assumes where a config.json is silent, for eke.catalog.huggingface.

Run by transformers_counts.py. Only fields that eke reads, and only what a class itself declares:
values that a class derives from others (such as a head size) are left to the family's function.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import transformers
from transformers import CONFIG_MAPPING

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "src" / "eke" / "catalog" / "huggingface"
# Mistral's window is that of its first model only; see `dense.mistral`.
LEFT_OUT = {("mistral", "sliding_window"), ("ministral", "sliding_window")}
# Whether a table is tied is decided outside the text model of Qwen3-VL.
LEFT_OUT.add(("qwen3_vl_moe_text", "tie_word_embeddings"))


def names_eke_reads() -> tuple[set[str], set[str]]:
    """Every name in quotes in the package: fields and families."""
    sources = [path.read_text() for path in PACKAGE.glob("*.py")]
    found = {name for text in sources for name in re.findall(r'"(\w+)"', text)}
    return found, {name for name in found if name in CONFIG_MAPPING}


def usual(family: str, fields: set[str]) -> dict[str, object]:
    """The declared defaults of one family, by field."""
    kind = CONFIG_MAPPING[family]
    found = {}
    for name in sorted(fields - {"model_type"}):
        value = getattr(kind, name, None)
        plain = isinstance(value, (bool, int, float, str))
        if plain and value not in (False, "") and (family, name) not in LEFT_OUT:
            found[name] = value
    return found


def main() -> None:
    fields, families = names_eke_reads()
    lines = [f'"transformers": {json.dumps(transformers.__version__)}']
    lines += [f"{json.dumps(each)}: {json.dumps(usual(each, fields))}" for each in sorted(families)]
    (PACKAGE / "usual.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
