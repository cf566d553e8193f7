"""Which chip a published label means: "NVIDIA H100 80GB HBM3", "4090-24GB", "CPU:Xeon-6787P"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import tomli

from eke.catalog.files import all_files, folders, read_text, slug
from eke.errors import BadFile
from eke.types.record import Record

# Ways of writing the same thing, tried in this order on the lower-case text.
SPELLINGS = (
    (r"_", " "),
    (r"^\s*\d{1,2}\s*x\s*(?=[a-z]|\d{4})|(?<=\d)x\d{1,2}$", " "),
    (r"\bmac(?:book)?[\s-]?(?:pro|air|mini|studio)\b", " "),
    (r"\((?:r|tm|c)\)|[®™]|\brisc-?v\b", " "),
    (r"(\d+)[\s-]*(?:gpu[\s-]*)?cores?\b", r" \1core "),
    (r"\bmax-?q\b", " maxq "),
    (r"\bmobile\b", " laptop "),
    (r"sxm[456]\b", "sxm"),
    (r"\b(rtx|gtx|rx|arc|gaudi|xeon|epyc|graviton|trainium|inferentia)(?=\d)", r"\1 "),
    (r"(?<=\d)(ti|super|xtx|xt|gre|ada|sxm\d?|pcie|nvl)\b", r" \1"),
    (r"\b(\d{4})(d)\b", r"\1 \2"),
    (r"\b(ti)(super)\b", r"\1 \2"),
)
MEMORY = re.compile(r"(?<![a-z\d.])(\d+)[\s-]*gi?b?\b")
NOISE = re.compile(
    r"geforce|radeon|instinct|tesla|habana|aws|amazon|raspberry|cambricon|tenstorrent|iluvatar"
    r"|corex|gpus?|cpus?|ai|accelerators?|cards?|graphics|generation|edition|workstation|processor"
    r"|chip|module|developer|kit|devkit|data|center|dgx|hgx|mgx|oam|fhfl|virtualized|cts|memory|not"
    r"|stated|platinum|gold|silver|\d+w|hbm\w*|gddr\w*|lpddr\w*|ddr\w*"
)
# Words that may be left out but must not contradict: who makes it, and the product line.
MAKERS = frozenset(
    {"nvidia", "amd", "intel", "apple", "huawei", "google", "qualcomm", "microsoft", "ampere"}
)
LINES = frozenset(
    {"rtx", "gtx", "rx", "arc", "quadro", "xeon", "epyc", "ryzen", "threadripper", "core"}
)
FORMS = frozenset({"pcie", "sxm", "sxm2", "sxm3", "nvl", "cnx", "fhhl"})


class Label(Record):
    """A label taken apart. words: what names the chip.  lines: maker and product lines.  memory:
    sizes [GB]."""

    words: frozenset[str]
    lines: frozenset[str]
    memory: frozenset[str]


class Index(Record):
    """Every chip's labels. keys: words → ids.  lines, forms: per id.  longer: words → what
    other chips' words add to them.  variants: such words without digits."""

    keys: dict[frozenset[str], set[str]]
    lines: dict[str, frozenset[str]]
    forms: dict[str, frozenset[str]]
    longer: dict[frozenset[str], set[str]]
    variants: frozenset[str]


class Meaning(Record):
    """What a label means. ids: of chips.  sizes: the chip must have one of these [GB], since
    chips of its name differ by memory; none: any size will do."""

    ids: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()


def label(text: str) -> Label:
    """A label taken apart."""
    text = text[:200].casefold()
    for pattern, written in SPELLINGS:
        text = re.sub(pattern, written, text)
    memory = frozenset(MEMORY.findall(text))
    found = re.findall(r"[a-z0-9]+", MEMORY.sub(" ", text))
    words = frozenset(word for word in found if not NOISE.fullmatch(word))
    lines = words & (MAKERS | LINES)
    return Label(words=words - lines, lines=lines, memory=memory)


def meant(text: str) -> Meaning:
    """The chips that the label may mean, the most specific; one where it is clear."""
    places = tuple(folders())
    for id, texts in _texts(places).items():
        if slug(text) in map(slug, texts):
            return Meaning(ids=(id,))
    index = _index(places)
    said = label(text)
    found = {key: ids for key, ids in _within(said, index) if ids}
    best = max((_weight(key, said) for key in found), default=None)
    chosen = [key for key in found if _weight(key, said) == best]
    ids: set[str] = set().union(*(found[key] for key in chosen))
    words: frozenset[str] = frozenset().union(*chosen)
    longer: set[str] = set().union(*(index.longer.get(key, set()) for key in chosen))
    rest = said.words - words
    another = any(key - said.memory - words and not ids & found[key] for key in found)
    if another or rest & (index.variants | longer) or _misspelt(rest, index.variants | FORMS):
        return Meaning()  # it speaks of two chips, or of a sibling that the catalogue lacks
    kept = sorted(each for each in ids if not (rest & FORMS and index.forms[each]))
    return Meaning(
        ids=tuple(kept), sizes=tuple(said.memory) if any(map(str.isdigit, longer)) else ()
    )


def _weight(key: frozenset[str], said: Label) -> tuple[int, int]:
    return len(key & said.words), len(key)


def _within(said: Label, index: Index) -> Iterable[tuple[frozenset[str], set[str]]]:
    """The keys whose words are all in the label, with the chips no product line rules out."""
    every = said.words | said.memory
    for key, ids in index.keys.items():
        named = any(map(_numbered, key)) or key == said.words
        if key <= every and key & said.words and named:
            yield key, {each for each in ids if _same_line(said.lines, index.lines[each])}


def _same_line(one: frozenset[str], other: frozenset[str]) -> bool:
    both = [(one & group, other & group) for group in (MAKERS, LINES)]
    return all(not a or not b or a & b for a, b in both)


def _numbered(word: str) -> bool:
    return any(map(str.isdigit, word))


def _misspelt(words: frozenset[str], known: frozenset[str]) -> bool:
    """Whether letters have changed places: "smx" for "sxm"."""
    letters = {tuple(sorted(word)) for word in known}
    return any(tuple(sorted(word)) in letters for word in words - known)


@lru_cache(maxsize=4)
def _index(places: tuple[Path, ...]) -> Index:
    """The words of every chip's labels."""
    keys: dict[frozenset[str], set[str]] = {}
    lines: dict[str, frozenset[str]] = {}
    forms: dict[str, frozenset[str]] = {}
    for id, texts in _texts(places).items():
        taken = [label(text) for text in texts]
        for each in taken:
            if each.words:
                keys.setdefault(each.words | each.memory, set()).add(id)
        lines[id] = frozenset().union(*(each.lines for each in taken))
        forms[id] = FORMS & frozenset().union(*(each.words for each in taken))
    longer = _longer(keys)
    added = frozenset().union(*longer.values())
    variants = frozenset(word for word in added if not _numbered(word)) - FORMS
    return Index(keys=keys, lines=lines, forms=forms, longer=longer, variants=variants)


@lru_cache(maxsize=4)
def _texts(places: tuple[Path, ...]) -> dict[str, tuple[str, ...]]:
    """Each chip's id, name and aliases; only the heads of the files are read."""
    found: dict[str, tuple[str, ...]] = {}
    for id, path in all_files("chips").items():
        head = read_text(path).partition("\n[")[0]
        try:
            read = tomli.loads(head)
        except tomli.TOMLDecodeError as error:
            raise BadFile(f"{path}: is not TOML: {error}.") from None
        aliases = read.get("aliases", [])
        more = map(str, aliases) if isinstance(aliases, list) else ()
        found[id] = (id, str(read.get("name", id)), *more)
    return found


def _longer(keys: dict[frozenset[str], set[str]]) -> dict[frozenset[str], set[str]]:
    """For the words of each key: what longer keys of other chips add."""
    found: dict[frozenset[str], set[str]] = {}
    for key, ids in keys.items():
        for count in range(1, len(key)):
            for part in map(frozenset, combinations(sorted(key), count)):
                if part in keys and not ids <= keys[part]:
                    found.setdefault(part, set()).update(key - part)
    return found
