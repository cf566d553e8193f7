"""Ten thousand and more mangled files, configurations and command lines, from one seed.

Each must end in an answer or in a clear error: no traceback, no hang, no negative number, no NaN.
"""

from __future__ import annotations

import json
import math
import random
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from eke.catalog import files
from eke.catalog.files import DATA
from eke.cli import entry
from eke.errors import EkeError

CHIPS = [path.read_text() for path in sorted((DATA / "chips").glob("*.toml"))[::9]]
CONFIGS = [
    case["config"]
    for case in json.loads(
        (Path(__file__).parent / "oracles" / "record" / "parameters.json").read_text()
    )["cases"].values()
][::3]
WORDS = [
    "need serve llama-3.1-8b --on 8xh100-sxm --rate 5/s --prompt 2000 --answer 500",
    "need train gpt-3 --tokens 300B --on 512xv100-sxm2-32 --within 90d",
    "need tune qwen3-8b --tokens 50M --lora 16 --on 1xl40s --epochs 2",
    "need align llama-3.1-8b --method grpo --samples 8 --prompts 100k --on 16xa100-sxm-80",
    "need serve llama-3.1-8b --on 4xh100-sxm --reuse 60% --pause 60s --offload --adapters 9 "
    "--adapter-slots 4 --carbon 400g/kWh",
    "need serve mixtral-8x7b --on 4xmi300x --tiers 8k:98%,32k:2% --ttft 2s@p99 --drafts 2",
    "explain serve gemma-3-4b --on 1xrtx-4090 --images 2 --weights int8 --cache fp8",
    "catalog chips h100-sxm",
    "claims 4",
]
PLANS = [
    "plan serve llama-3.1-8b --on 4xl40s --rate 6/s --ttft 1s@p90 --tpot 60ms@p90 --least cost",
    "plan serve qwen3-30b-a3b --on 2xh100-sxm --frontier cost,ttft --headroom 10% --tensor 1,2",
    "plan train llama-3.1-8b --on 8xh100-sxm --tokens 10B --within 30d --at-most chips=6",
    "plan tune qwen3-8b --on 2xl40s --on 2xa100-sxm-80 --tokens 1M --lora 16 --sure 60%",
    "plan align llama-3.1-8b --method grpo --prompts 1k --on 8xh100-sxm --split 25%",
    "plan serve llama-3.1-8b --among l40s,h100-sxm --rate 3/s --weights bf16,fp8 --adapters 5",
]
ASKED = "need serve llama-3.1-8b --on 1xdgx-h100 --rate 0.1/s"
FOLDERS = [
    ("prices.csv", ASKED),
    ("efficiency/hopper.csv", ASKED),
    ("systems/dgx-h100.toml", ASKED),
    ("models/llama-3.1-8b.toml", ASKED),
    ("chips/h100-sxm.toml", ASKED),
    ("sources.toml", "catalog sources"),
]
FORECAST = """
start = "2026 Q1"
quarters = 4
samples = 200
count_in = "h100-sxm"

[demand.chat]
users = "13M ± 20%"
growth = "40%/yr (10%..90%)"
ceiling = "100M"
asks = "15/day"
prompt = "1000 (300..3000)"
answer = "400"
answer_growth = "10%/yr"
images = "0.1"
reuse = "30%"
active = "37B (20B..70B)"
utilisation = "20%"
price_fall = "30%/yr"
elasticity = "1.2"

[training.frontier]
active = "405B"
tokens = "15T ± 30%"
within = "100d"
growth = "2x/yr (1.5x..3x)"

[supply.h100-sxm]
installed = "100k"
shipments = "10k/quarter"
since = "2026 Q2"
retire = "5%/yr"
price = "40 kUSD"

[supply.b200-sxm]
wafers = "300/quarter"
per_wafer = "14"

[caps]
power = "400 MW"
budget = "2 GUSD/yr"
"""
ODD: list[Any] = [
    *(None, True, -1, 0, 1, 1e30, -0.5, math.inf, math.nan, 10**40, 3.7, "", "x", "9" * 400),
    *([], {}, [1, 2], {"a": 1}, "1e999", "-3", "NaN", "∞", "\x00", "80 GB", 2**31),
]


def nudged(text: str, dice: random.Random) -> str:
    """Still well formed: one number replaced by another, so that what reads it goes deeper."""
    numbers = list(re.finditer(r"\d+\.?\d*", text))
    if not numbers:
        return text
    found = dice.choice(numbers)
    times = dice.choice([0.0, 0.001, 0.1, 0.5, 2, 3, 10, 1000, 1e6, 1e12])
    value = f"{float(found[0]) * times:.6g}" if dice.random() < 0.5 else str(dice.randint(0, 10**5))
    return text[: found.start()] + value + text[found.end() :]


def mangled_text(text: str, dice: random.Random) -> str:
    """Cut, doubled, swapped, overwritten; more often than not only nudged."""
    if dice.random() < 0.6:
        return nudged(text, dice)
    for _ in range(dice.randint(1, 4)):
        if not text:
            break
        at, to = sorted((dice.randrange(len(text)), dice.randrange(len(text))))
        junk = "".join(dice.choice(string.printable) for _ in range(dice.randint(0, 8)))
        text = dice.choice(
            [
                text[:at] + text[to:],
                text[:at] + junk + text[at:],
                text[:at] + text[at:to] * 2 + text[to:],
                text.replace(dice.choice("0123456789.="), dice.choice("-e0 9x")),
            ]
        )
    return text


def mangled_config(config: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Some values replaced, dropped or nested."""
    found = dict(config)
    for _ in range(dice.randint(1, 3)):
        name = dice.choice(list(found)) if found else "hidden_size"
        action = dice.random()
        if action < 0.2:
            found.pop(name, None)
        elif action < 0.3:
            found[name] = {"inner": found.get(name)}
        elif isinstance(found.get(name), int) and action < 0.85:
            found[name] = int(found[name] * dice.choice([0, -1, 0.5, 2, 2, 3, 5, 1000, 10**6]))
        else:
            found[name] = dice.choice(ODD)
    return found


def mangled_words(words: str, dice: random.Random) -> list[str]:
    """Options dropped, doubled, or given nonsense; more often than not only nudged."""
    parts = words.split()
    if dice.random() < 0.6:
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(3, len(parts)) if len(parts) > 3 else 0
            parts[at] = nudged(parts[at], dice)
        return parts
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(parts)) if parts else 0
        action = dice.random()
        if action < 0.25 and parts:
            parts.pop(at)
        elif action < 0.5 and parts:
            parts[at] = mangled_text(parts[at], dice)
        elif action < 0.75:
            parts.insert(at, dice.choice(["0", "-1", "1e99", "nan", "--tensor", "7", "p99", "8x"]))
        elif parts:
            parts[at] = dice.choice(["0", "-5", "1e30", "99999999T", "0.0001/s", "3", "nope", ""])
    return parts


def run(words: list[str]) -> tuple[int, str, BaseException | None]:
    """Exit code, what it printed, and what it raised beside a clear error."""
    try:
        result = CliRunner().invoke(entry, words)
    finally:
        files._added.clear()
    if isinstance(result.exception, EkeError):
        return 2, str(result.exception), None
    raised = result.exception if not isinstance(result.exception, SystemExit) else None
    return result.exit_code, result.output, raised


def judge(words: list[str]) -> str | None:
    """What is wrong with the end of a command; None when nothing is."""
    code, said, raised = run(words)
    if raised is not None:
        return f"{type(raised).__name__}: {raised}"
    if code not in (0, 1, 2, 3):
        return f"exit code {code}"
    if code in (1, 2) and len(said.strip()) < 10:
        return "an error without words"
    if code in (0, 3) and "need" in words[:3] and (odd := ODD_NUMBER.search(said)):
        return f"it says {odd[0].strip()!r}"
    if code == 0 and "forecast" in words and (odd := re.search(r"(?i)\b(nan|inf)\b", said)):
        return f"it says {odd[0]!r}"
    return None


ODD_NUMBER = re.compile(r"(?im)(?<![\w./-])(nan|inf|[-−]\d[\d.,]*)(?= |\)|$)(?!.*closest)")


def numbers_are_sound(said: str) -> str | None:
    """No negative number, no NaN, no infinity in a JSON answer."""

    def walk(value: Any, at: str) -> str | None:
        if isinstance(value, dict):
            return next(filter(None, (walk(v, f"{at}.{k}") for k, v in value.items())), None)
        if isinstance(value, list):
            return next(filter(None, (walk(v, f"{at}[]") for v in value)), None)
        if isinstance(value, float) and (value < 0 or not math.isfinite(value)):
            return f"{at} is {value}"
        return None

    return walk(json.loads(said), "$")


def chip_case(dice: random.Random, folder: Path) -> list[str]:
    path = folder / "mangled.toml"
    path.write_text(mangled_text(dice.choice(CHIPS), dice), errors="replace")
    if dice.random() < 0.75:
        return ["catalog", "chips", str(path)]
    return ["need", "serve", "llama-3.1-8b", "--on", f"2x{path}", "--rate", "0.1/s"]


def config_case(dice: random.Random, folder: Path) -> list[str]:
    path = folder / "config.json"
    if dice.random() < 0.15:
        path.write_text(mangled_text(json.dumps(dice.choice(CONFIGS)), dice), errors="replace")
    else:
        path.write_text(json.dumps(mangled_config(dice.choice(CONFIGS), dice)))
    if dice.random() < 0.75:
        return ["catalog", "models", str(path)]
    return ["need", "serve", str(path), "--on", "8xh200", "--rate", "0.1/s"]


def folder_case(dice: random.Random, folder: Path) -> list[str]:
    """A user's catalogue folder with one mangled file, asked for what that file describes."""
    return told_case(dice, folder, *dice.choice(FOLDERS))


def told_case(dice: random.Random, folder: Path, name: str, words: str) -> list[str]:
    """The same, of that file and asked in those words."""
    mine = folder / f"catalogue-{dice.getrandbits(64):x}"  # a new one each time: reads are cached
    (mine / name).parent.mkdir(parents=True)
    (mine / name).write_text(mangled_text((DATA / name).read_text(), dice), errors="replace")
    asked = "catalog check" if dice.random() < 0.02 else words
    return ["--catalog", str(mine), *asked.split()]


def words_case(dice: random.Random, folder: Path) -> list[str]:
    return mangled_words(dice.choice(WORDS), dice)


def plans_case(dice: random.Random, folder: Path) -> list[str]:
    return mangled_words(dice.choice(PLANS), dice)


def forecast_case(dice: random.Random, folder: Path) -> list[str]:
    """A forecast's file; now and then a published one in a user's folder."""
    if dice.random() < 0.2:
        asked = "allocate forecast --published bernstein-2023"
        return told_case(dice, folder, "forecasts/bernstein-2023.toml", asked)
    path = folder / "forecast.toml"
    path.write_text(mangled_text(FORECAST, dice), errors="replace")
    return ["allocate", "forecast", str(path)]


CASES: list[tuple[Callable[[random.Random, Path], list[str]], int]] = [
    (chip_case, 2600),
    (folder_case, 400),
    (config_case, 4000),
    (words_case, 2900),
    (plans_case, 100),
    (forecast_case, 200),
]


def fuzz(seed: int, folder: Path, share: float = 1.0) -> list[str]:
    """Every failure among the cases of a seed; share: of them to run."""
    dice, failures = random.Random(seed), []
    for make, count in CASES:
        for _ in range(int(count * share)):
            words = make(dice, folder)
            wrong = judge(words)
            if wrong is None and dice.random() < 0.1 and "need" in words[:3]:
                code, said, _ = run([*words, "--json"])
                wrong = numbers_are_sound(said) if code in (0, 3) and said[:1] == "{" else None
            if wrong is not None:
                failures.append(f"{make.__name__}: {wrong}: {words}")
    return failures
