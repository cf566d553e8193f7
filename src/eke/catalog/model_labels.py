"""Labels that measurements are published under: which model they mean, and which number format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from eke.types.plan import Width

_ORGANISATIONS = re.compile(
    r"amd|bartowski|c4ai|casperhansen|facebook|google|hugging|ibm|intel|lmstudio|meta|microsoft|"
    r"mlx|neuralmagic|nvidia|openai|redhat(ai)?|thebloke|unsloth"
)
# words that say how the weights are stored
_FORMAT = re.compile(
    r"(nv|mx)?fp[48]|[bf][fp]?(16|32)|u?int[48]|w[48]a(4|8|16|fp8)|[48]bits?|nf4|awq|gptq|gguf|exl2|"
    r"bnb|hqq|marlin|quark|auto|round|autoround|smoothquant|quant|quantized|dyn|dynamic|static|"
    r"block|blockwise|pertensor|tensor|per|kv|g?128g?|sym|modelopt|mlx"
)
_GGUF = re.compile(r"(?<![a-z0-9])i?q[2-8](_[a-z0-9]+)*(?![a-z0-9])")
# words that say what the model was tuned or benchmarked for; its shape stays the same
_ROLE = re.compile(
    r"instruct|chat|it|hf|base|preview|thinking|think|latest|online|model|llm|edge|server|offline|"
    r"interactive|99(\.9)?|q?lora|dora|peft|sft|dpo|rl|rlhf|grpo|finetuned?|finetuning|pretrain|"
    r"full|parameter|emb|multinode|repro|bench|script|turbo|versatile|instant|specdec|"
    r"high|medium|low|mostly|pt|"
    r"trtllm|nim|vllm|sglang|megatron|deepspeed|flagscale|pytorch"
)
_DATE = re.compile(r"\d{4}|\d{6}|\d{8}|\d+k|1m")
_VERSION = re.compile(r"v\d+(\.\d+)?")
_SIZE = re.compile(r"(\d+x)?\d+(\.\d+)?b")
_WIDTHS: tuple[tuple[Width, str], ...] = (
    ("fp4", r"(nv|mx)?fp4"),
    ("int4", r"w4a(8|16|fp8)|u?int4"),
    ("fp8", r"(mx)?fp8"),
    ("int8", r"w8a(8|16)|u?int8|8bits?|i?q8"),
    ("int4", r"awq|gptq|4bits?|nf4|bnb|qlora|i?q4"),
    ("bf16", r"bf16"),
    ("fp16", r"fp16|f16"),
    ("fp32", r"fp32|f32"),
)


def keys(label: str) -> list[str]:
    """What a label may be filed under, the most exact first.

    Words that do not change the shape fall away one kind after the other: the organisation,
    the number format, the role, dates, a version behind the size; at last what is in brackets.
    """
    text = label.casefold().strip()
    forms = [text, text.rsplit("/", 1)[-1]]
    forms += [re.sub(r"\([^()]*\)", " ", form) for form in forms]
    found = [key(words) for form in forms for words in _shorter(_words(form))]
    return [each for each in dict.fromkeys(found) if each]


def key(words: list[str]) -> str:
    """One way to write a name: "Llama v3.1 70B", "llama3_1-70b" → "llama3.1-70b"."""
    made = ""
    for word in words:
        word = word[1:] if _VERSION.fullmatch(word) else word
        made += "-" * (made[-1:].isdigit() and word[:1].isdigit()) + word
    return made


def name_key(name: str) -> str:
    """What an id, a name or an alias is filed under."""
    return key(_words(name.casefold()))


def width_in_name(label: str) -> Width | None:
    """The number format of the weights that a label implies; None where it says nothing."""
    words = re.split(r"[^a-z0-9]+", label.casefold().replace("q-lora", "qlora"))
    for width, pattern in _WIDTHS:
        if any(re.fullmatch(pattern, word) for word in words):
            return width
    return None


def _words(text: str) -> list[str]:
    """The words of a name. "llama3_1-70b" and "llama3p1-70b" mean 3.1; other dots divide words."""
    text = re.sub(r"(\d)(_(?=\d[-_ ]|\d$)|p(?=\d))(\d)", r"\1.\3", _GGUF.sub(" ", text))
    text = re.sub(r"(?<=[a-z])\+", "-plus", text)
    return [word for word in re.split(r"[^a-z0-9.]+|\.(?!\d)|(?<!\d)\.", text) if word]


def _shorter(words: list[str]) -> Iterator[list[str]]:
    """The words, and again each time with fewer of those that leave the shape alone."""
    yield words
    while words and _ORGANISATIONS.fullmatch(words[0]):
        words = words[1:]
    yield words
    for noise in (_FORMAT, _ROLE, _DATE):
        words = _without(words, noise)
        yield words
    size = next((i for i, word in enumerate(words) if _SIZE.fullmatch(word)), len(words))
    yield [word for i, word in enumerate(words) if i < size or not _VERSION.fullmatch(word)]


def _without(words: list[str], noise: re.Pattern[str]) -> list[str]:
    """Without noise behind the first word, and without the version of a format: "NVFP4-v2"."""
    left = words[:1]
    for before, word in pairwise(words):
        version = _VERSION.fullmatch(word) and _FORMAT.fullmatch(before)
        if not version and not noise.fullmatch(word):
            left.append(word)
    return left
