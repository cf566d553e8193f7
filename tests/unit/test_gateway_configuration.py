"""gateway.toml: everything it can say, and every way of getting it wrong."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from eke.errors import BadFile, BadInput
from eke.gateway.configuration import contexts_of, read, tiers_of
from eke.gateway.limits import limit_of, limits_of
from eke.gateway.settings import MONTH, Chips, Limit, Patience, Price, Settings
from eke.gateway.tenants import hashed
from eke.types.record import replace

KEY = "sha256:" + hashed("gold's key")
WHOLE = f"""
policy = "fair+promise"
origins = ["https://Chat.example.com", "http://localhost:3000"]
open = false
host = "0.0.0.0"
port = 9000
state = "there.db"
record = "events.jsonl"
longest_body = "1 MB"
trainer = "sh train.sh --steps 3"

[engines.big]
url = "http://10.0.0.1:8000/v1"
key_env = "ENGINE_KEY"
models = {{ gpt = "served" }}
chips = "8xh100-sxm"
slots = 16
cache = "400k"
metrics = ""
ordered = true

[engines.small]
url = "https://small.example/v1"
models = ["tiny", "nano"]
price = "3.6 USD/h"
power = "300 W"
idle = "0.05 kW"

[models.gpt]
context = "32k"
prompt = "2 USD/Mtoken"
cached = "0.5 USD/Mtoken"
answer = "8 USD/Mtoken"
ttft = "500ms"
smaller = "tiny"

[models.tiny]
answer = "1 USD/Mtoken"

[tenants.gold]
keys = ["{KEY}"]
group = "paying"
weight = 4
floor = "20%"
ceiling = "60%"
context = "32k"
service_tiers = ["priority", "default"]
limits = ["10M tokens/day", "600 requests/min"]
models = ["gpt"]
store = false
retention = "7d"

[tenants.free]
key_env = ["FREE_ONE", "FREE_TWO"]

[tiers]
8k = "all"
32k = ["gold", "paying"]

[patience]
first = "20s"
hedge = "2s"
retries = 1

[admin]
port = 9001
"""
ENGINE = '[engines.a]\nurl = "http://h/v1"\n'
SECRETS = {"ENGINE_KEY": "e", "FREE_ONE": "f1", "FREE_TWO": "f2", "EKE_ADMIN_KEY": "s"}


def chips(words: str) -> Chips:
    if not words.endswith("h100-sxm"):
        raise BadInput(f"no chip {words!r}.")
    return Chips(8.0, 0.01, 6000.0, 800.0)


def settings(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return read(path, chips)


def test_everything_that_a_file_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.sh").touch()
    found = settings(tmp_path, WHOLE, monkeypatch)
    big, small = found.engines
    assert (big.name, big.url, big.key) == ("big", "http://10.0.0.1:8000/v1", "e")
    assert (big.models, big.slots, big.room) == ({"gpt": "served"}, 16, 400_000)
    assert (big.chips, big.rate, big.power, big.idle) == (8.0, 0.01, 6000.0, 800.0)
    assert (big.metrics, big.ordered) == ("", True)
    assert small.models == {"tiny": "tiny", "nano": "nano"} and small.metrics is None
    assert (small.rate, small.power, small.idle) == (pytest.approx(0.001), 300.0, 50.0)
    gpt, tiny = found.models
    assert (gpt.context, gpt.ttft, gpt.smaller) == (32_000, 0.5, "tiny")
    assert gpt.price == Price(prompt=2e-6, cached=5e-7, answer=8e-6)
    assert tiny.price == Price(answer=1e-6)
    gold, free = found.tenants
    assert gold.keys == (hashed("gold's key"),)
    assert (gold.group, gold.weight, gold.floor, gold.ceiling) == ("paying", 4.0, 0.2, 0.6)
    assert (gold.context, gold.tiers) == (32_000.0, ("priority", "default"))
    assert [limit.name for limit in gold.limits] == ["tokens/day", "requests/min"]
    assert (gold.models, gold.store, gold.retention) == (("gpt",), False, 7 * 86400.0)
    assert free.keys == (hashed("f1"), hashed("f2")) and free.context == inf
    variables = {*found.key_env, *gold.key_env, *free.key_env}
    assert variables == {"ENGINE_KEY", "FREE_ONE", "FREE_TWO", "EKE_ADMIN_KEY"}
    assert found.contexts == {8000.0: ("all",), 32_000.0: ("gold", "paying")}
    assert found.patience == Patience(first=20.0, hedge=2.0, retries=1)
    assert (found.host, found.port, found.admin, found.admin_key) == ("0.0.0.0", 9000, 9001, "s")
    assert (found.policy, found.open, found.state) == ("fair+promise", False, "there.db")
    assert (found.record, found.longest_body) == ("events.jsonl", 10**6)
    assert found.origins == ("https://chat.example.com", "http://localhost:3000")
    assert found.trainer == f"sh {tmp_path / 'train.sh'} --steps 3"


def test_little_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(tmp_path, ENGINE, monkeypatch)
    assert found.open is None and found.port == 8080 and found.admin is None
    assert found.engines[0].models is None and found.engines[0].slots is None


MISTAKES = [
    ("", ["there is no engine", "[engines.NAME]", "http://host:port/v1"]),
    ("[engines]", ["there is no engine", "[engines.NAME]", "http://host:port/v1"]),
    ("[engines.a]\nslots = 1", ["[engines.a]", "url"]),
    ("[engines.a", ["is not TOML"]),
    (ENGINE + "slot = 3", ["[engines.a]", "slot", "slots"]),
    (ENGINE + 'slots = "3"', ["[engines.a]", "slots", "int", "str"]),
    (ENGINE + "slots = 0", ["[engines.a]", "slots = 0", "at least one"]),
    (ENGINE + 'key_env = "NO_SUCH"', ["[engines.a] key_env", "NO_SUCH", "not set"]),
    (ENGINE + 'cache = "5 GB"', ["[engines.a] cache", "5 GB", "tokens"]),
    (ENGINE + 'price = "3"', ["[engines.a] price", "'3'", "USD/h"]),
    (ENGINE + 'price = "-3 USD/h"', ["[engines.a] price", "-3 USD/h", "below 0"]),
    (ENGINE + 'power = "300"', ["[engines.a] power", "'300'", "700 W"]),
    (ENGINE + 'chips = "4xabacus"', ["no chip"]),
    ('[engines.a]\nurl = "10.0.0.1:8000"', ["[engines.a] url", "10.0.0.1:8000", "http://"]),
    ('[engines.a]\nurl = "ftp://h/v1"', ["[engines.a] url", "ftp://h/v1", "http://"]),
    ('[engines.a]\nurl = "http://h:99999/v1"', ["[engines.a] url", "99999"]),
    (
        '[engines.a]\nurl = "http://foo..bar/v1"',
        ["[engines.a] url", "foo..bar", "http://host:port/v1"],
    ),
    ('origins = ["*"]\n' + ENGINE, ["origins: '*'", "https://chat.example.com"]),
    ('origins = ["https://a.b/c"]\n' + ENGINE, ["origins: 'https://a.b/c'", "no path"]),
    ('polici = "fcfs"\n' + ENGINE, ["polici", "policy"]),
    ('policy = "fcsf"\n' + ENGINE, ["fcsf", "fcfs"]),
    ('policy = "fair(weight=a:1)"\n' + ENGINE, ["weight", "weights"]),
    ("port = 70000\n" + ENGINE, ["port = 70000", "65535"]),
    ("port = true\n" + ENGINE, ["port", "int", "bool"]),
    ('longest_body = "big"\n' + ENGINE, ["longest_body", "big", "80 GB"]),
    (ENGINE + '[models.m]\ncontext = "long"', ["[models.m] context", "long", "32k"]),
    (ENGINE + '[models.m]\nprompt = "1 EUR"', ["[models.m] prompt", "1 EUR"]),
    (ENGINE + '[models.m]\ncached = "1 USD/Mtoken"', ["[models.m] cached", "prompt too"]),
    (ENGINE + '[models.m]\nttft = "soon"', ["[models.m] ttft", "soon", "500ms"]),
    (ENGINE + "[tenants.t]\nweight = 0", ["[tenants.t] weight = 0", "above 0"]),
    (ENGINE + "[tenants.t]\nweight = nan", ["[tenants.t] weight = nan", "above 0"]),
    (ENGINE + "[tenants.t]\nweight = inf", ["[tenants.t] weight = inf"]),
    (ENGINE + '[tenants.t]\nfloor = "120%"', ["[tenants.t] floor", "120%", "100%"]),
    (ENGINE + '[tenants.t]\nceiling = "0%"', ["[tenants.t] ceiling", "0%", "leave ceiling out"]),
    (ENGINE + '[tenants.t]\nkeys = ["sk-mine"]', ["[tenants.t] keys", "sha256:HEX", "never"]),
    (ENGINE + '[tenants.t]\nkeys = "sha256:00"', ["[tenants.t]", "keys", "array", "str"]),
    (
        ENGINE + f'[tenants.t]\nkeys = ["{KEY}"]\n[tenants.u]\nkeys = ["{KEY}"]',
        ["[tenants.u]", "[tenants.t]", "each its own"],
    ),
    (ENGINE + '[tenants.t]\nservice_tiers = ["gold"]', ["[tenants.t]", "'gold'", "default"]),
    (ENGINE + '[tenants.t]\nlimits = ["10M"]', ["[tenants.t] limits", "10M", "tokens/day"]),
    (
        ENGINE + '[tenants.t]\nlimits = ["1 USD/day", "2 USD/day"]',
        ["[tenants.t] limits", "'1 USD/day' and '2 USD/day'", "twice"],
    ),
    (ENGINE + '[tenants.t]\nretention = "-1d"', ["[tenants.t] retention", "-1d", "below 0"]),
    (
        ENGINE + '[tenants.t]\nfloor = "60%"\n[tenants.u]\nfloor = "60%"',
        ["floors", "60%", "leave 10%"],
    ),
    (
        'policy = "fair(weights=t:3)"\n' + ENGINE + "[tenants.t]\nweight = 2",
        ["weights twice"],
    ),
    (ENGINE + '[tiers]\nlong = "all"', ["tiers", "long", "32k"]),
    (
        ENGINE + 'models = ["big", "tiny"]\n[models.big]\nsmaller = "tinny"',
        ["[models.big] smaller: no engine serves 'tinny'", "closest: tiny"],
    ),
    (
        ENGINE + 'models = {big = "b"}\n[tenants.t]\nmodels = ["big", "b"]',
        ["[tenants.t] models: no engine serves 'b'"],
    ),
    (ENGINE + '[patience]\nfrist = "3s"', ["[patience] frist", "first"]),
    (ENGINE + '[patience]\nfirst = "3"', ["[patience] first", "'3' has no unit", "500ms"]),
    (ENGINE + "[patience]\nfirst = 3", ["[patience] first", "'3' has no unit", "500ms"]),
    (ENGINE + '[patience]\nfirst = "0s"', ["[patience] first", "0s", "above 0"]),
    (ENGINE + '[patience]\nretries = "two"', ["[patience] retries", "two"]),
    (ENGINE + "[patience]\nretries = -1", ["[patience] retries", "-1"]),
    (ENGINE + '[log]\nlevel = "loud"', ["[log] level = 'loud'", "debug, info, warning, error"]),
    (ENGINE + '[log]\nform = "xml"', ["[log] form = 'xml'", "auto, json, words"]),
    ("trainer = 'sh \"open'\n" + ENGINE, ["trainer = ", "No closing quotation", "close"]),
    ('trainer = "no-such tune.sh"\n' + ENGINE, ["no program 'no-such'", "PATH", "its path from"]),
    ('trainer = "sh tune.sh"\n' + ENGINE, ["no file 'tune.sh'", "give its path from"]),
    ('trainer = "./gateway.toml"\n' + ENGINE, ["gateway.toml is no program", "chmod +x"]),
    (ENGINE + '[admin]\nport = 1\nkey_env = "NO_SUCH"', ["[admin]", "NO_SUCH", "secret"]),
]


@pytest.mark.parametrize("text,words", MISTAKES)
def test_a_mistake_says_where_what_and_what_is_allowed(
    text: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadFile) as caught:
        settings(tmp_path, text, monkeypatch)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "gateway.toml"))
    assert all(word in message for word in words), message
    assert len(message) < 500 and "\n" not in message


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read: No such file"):
        read(tmp_path / "gateway.toml", chips)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="is not TOML"):
        read(tmp_path / "binary", chips)
    (tmp_path / "large").write_text("# " + "x" * (4 << 20))
    with pytest.raises(BadFile, match="is larger than"):
        read(tmp_path / "large", chips)


@pytest.mark.parametrize(
    "text,limit",
    [
        ("10M tokens/day", Limit(what="tokens", amount=1e7, period=86400.0)),
        ("500 USD/month", Limit(what="USD", amount=500.0, period=MONTH)),
        ("0.5 USD", Limit(what="USD", amount=0.5, period=inf)),
        ("40 chip-hours/month", Limit(what="seconds", amount=144_000.0, period=MONTH)),
        ("600 requests/min", Limit(what="requests", amount=600.0, period=60.0)),
        ("600 requests / minute", Limit(what="requests", amount=600.0, period=60.0)),
        ("1 request/s", Limit(what="requests", amount=1.0, period=1.0)),
        ("1,000,000 tokens/h", Limit(what="tokens", amount=1e6, period=3600.0)),
        (" 5k tokens ", Limit(what="tokens", amount=5000.0, period=inf)),
    ],
)
def test_limits_in_words(text: str, limit: Limit) -> None:
    found = limit_of(text, "[tenants.a]")
    assert replace(found, text="") == limit
    assert limit_of(found.words, "[tenants.a]") == found


@pytest.mark.parametrize("text", ["1.5M tokens/min", "2 chip-hours/month", "0.01 USD"])
def test_limits_are_told_as_they_were_written(text: str) -> None:
    (limit,) = limits_of([f" {text} "], "")
    assert limit.words == text
    assert limit_of("1.5 M tokens / min", "").words == "1.5M tokens/min"
    assert Limit(what="tokens", amount=1.5e6, period=60.0).words == "1,500,000 tokens/min"


@pytest.mark.parametrize(
    "text",
    ["", "tokens/day", "10 apples/day", "10 tokens/week", "-5 tokens/day", "0 USD", "1e9 tokens",
     "ten requests/min", "1.2.3 tokens", "10 tokens/day/day"],
)  # fmt: skip
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(BadInput, match=r"\[tenants.a\] limits"):
        limit_of(text, "[tenants.a]")


def test_a_limit_is_called_what_it_is() -> None:
    names = {limit_of(text, "").name for text in ("1 USD", "1 USD/day", "1 token/s")}
    assert names == {"USD", "USD/day", "tokens/second"}
    assert limit_of("1 USD/h", "").quick and not limit_of("1 USD/day", "").quick


def test_contexts_from_a_file_and_from_a_flag() -> None:
    assert tiers_of("8k:all,32k:gold+silver") == {8000.0: ("all",), 32000.0: ("gold", "silver")}
    assert contexts_of({"8k": "all"}) == {8000.0: ("all",)}
    for text in ("", "8k", "8k:", ":all", "long:all"):
        with pytest.raises(BadInput):
            tiers_of(text)
