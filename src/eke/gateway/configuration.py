"""gateway.toml, and the flags of `eke serve`, as settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from shlex import join
from typing import Any, get_args

import tomli

from eke.errors import BadFile, BadInput, BadQuantity
from eke.gateway.engines.address import address, bearer
from eke.gateway.limits import limits_of
from eke.gateway.named import check_models
from eke.gateway.settings import (
    ADMIN_KEY,
    LEVELS,
    POLICY,
    Chips,
    EngineSettings,
    Form,
    ModelSettings,
    Patience,
    Price,
    Settings,
    Tenant,
    TenantFile,
)
from eke.gateway.shares import check
from eke.gateway.state.sealing import sealer
from eke.gateway.tables import to_record
from eke.gateway.tenants import hashed
from eke.gateway.tuning.command import command_of
from eke.policy import values
from eke.types.record import Record, fields
from eke.units import quantity

LARGEST = 4 << 20  # bytes of a file
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+")


PriceChips = Callable[[str], Chips]


class EngineFile(Record):
    """A table [engines.NAME]."""

    url: str
    key_env: str = ""
    models: dict[str, str] | list[str] | None = None
    chips: str = ""
    price: str = ""
    power: str = ""
    idle: str = ""
    slots: int | None = None
    cache: str = ""
    metrics: str | None = None
    ordered: bool = False
    sleep: str = ""
    wake: str = ""


class ModelFile(Record):
    """A table [models.NAME]. prompt, cached, answer: prices, such as "0.5 USD/Mtoken"."""

    context: str = ""
    prompt: str = ""
    cached: str = ""
    answer: str = ""
    ttft: str = ""
    smaller: str | None = None


class AdminFile(Record):
    """The table [admin]."""

    port: int
    key_env: str = ADMIN_KEY


class LogFile(Record):
    """The table [log]. form: "auto" is words on a terminal, else JSON."""

    level: str = "warning"
    form: str = "auto"
    file: str = ""


class GatewayFile(Record):
    """The whole file."""

    engines: dict[str, EngineFile] = {}
    models: dict[str, ModelFile] = {}
    tenants: dict[str, TenantFile] = {}
    tiers: dict[str, list[str] | str] = {}
    patience: dict[str, str | int] = {}
    admin: AdminFile | None = None
    log: LogFile = LogFile()
    traces: str = ""
    policy: str = POLICY
    open: bool | None = None
    origins: list[str] = []
    host: str = "127.0.0.1"
    port: int = 8080
    state: str = "eke.db"
    record: str = ""
    longest_body: str = "32 MB"
    longest_file: str = "512 MB"
    longest_batch: str = "200 MB"
    batch_discount: str = "50%"
    trainer: str = ""
    jobs: str = "eke-jobs"


def read(path: Path, price: PriceChips) -> Settings:
    """The settings that a file says. price: of chips by their words.  Raises BadFile."""
    found = _toml(path)
    with _said_in(path):
        return settings_of(file_of(found), price, os.environ, path.absolute().parent)


def models_of(path: Path) -> tuple[ModelSettings, ...]:
    """What a file says of models, whatever else it says. Raises BadFile."""
    found = {name: table for name, table in _toml(path).items() if name == "models"}
    with _said_in(path):
        return _models(file_of(found))


def _toml(path: Path) -> dict[str, Any]:
    """What stands in a file. Raises BadFile."""
    try:
        if path.stat().st_size > LARGEST:
            raise BadFile(f"{path}: is larger than {LARGEST:,} bytes; it is no gateway.toml.")
        return tomli.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (tomli.TOMLDecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: is not TOML: {error}.") from None


@contextmanager
def _said_in(path: Path) -> Iterator[None]:
    """Say of mistakes in which file they are."""
    try:
        yield
    except (BadInput, BadQuantity) as error:
        raise BadFile(f"{path}: {error}") from None


def file_of(found: dict[str, Any]) -> GatewayFile:
    """What a file says, checked table by table. Raises BadInput naming table and field."""
    kinds: dict[str, type[Record]] = {
        "engines": EngineFile,
        "models": ModelFile,
        "tenants": TenantFile,
    }
    for name, kind in kinds.items():
        tables = found.get(name)
        for each, table in tables.items() if isinstance(tables, dict) else ():
            to_record(table, kind, f"[{name}.{each}]")
    return to_record(found, GatewayFile, "")


def settings_of(
    file: GatewayFile, price: PriceChips, environment: Mapping[str, str], folder: Path = Path()
) -> Settings:
    """Everything checked and in base units. folder: in which the file lies, from which the files of
    the trainer's command are named.  Raises BadInput or BadQuantity naming the table."""
    if not file.engines:
        raise BadInput('there is no engine; add [engines.NAME] with url = "http://host:port/v1".')
    engines = tuple(_engine(name, each, price, environment) for name, each in file.engines.items())
    tenants = tuple(tenant_of(name, each, environment) for name, each in file.tenants.items())
    distinct(tenants)
    check(file.policy, tenants)
    settings = Settings(
        engines=engines,
        tenants=tenants,
        models=_models(file),
        policy=file.policy,
        open=file.open,
        origins=tuple(_origin(each) for each in file.origins),
        host=file.host,
        port=_port("port", file.port),
        admin=None if file.admin is None else _port("admin.port", file.admin.port),
        admin_key="" if file.admin is None else environment.get(file.admin.key_env, ""),
        key_env=_variables(file),
        state=file.state,
        record=file.record,
        longest_body=int(_in("longest_body", file.longest_body, "B")),
        longest_file=int(_in("longest_file", file.longest_file, "B")),
        longest_batch=int(_in("longest_batch", file.longest_batch, "B")),
        batch_discount=_share("batch_discount", file.batch_discount) or 0.0,
        patience=_patience(file.patience),
        contexts=contexts_of(file.tiers),
        log=_one_of("[log] level", file.log.level.lower(), LEVELS),
        log_form=_one_of("[log] form", file.log.form, get_args(Form)),
        log_file=file.log.file,
        traces=file.traces,
        trainer=join(command_of(file.trainer, folder)),
        jobs=file.jobs,
    )
    check_models(settings)
    if file.admin is not None and not settings.admin_key:
        raise BadInput(
            f"[admin]: the environment variable {file.admin.key_env} has no key; set it to a "
            "secret of your own."
        )
    return settings


def _variables(file: GatewayFile) -> tuple[str, ...]:
    """Names of the variables with the keys of the administration and of engines."""
    tables = (file.admin, *file.engines.values())
    return tuple(each.key_env for each in tables if each is not None and each.key_env)


def contexts_of(tiers: Mapping[str, list[str] | str]) -> dict[float, tuple[str, ...]]:
    """Contexts by length, and who may have them: {"8k": "all", "32k": ["gold"]}."""
    found = {}
    for text, whose in tiers.items():
        length = _in(f"tiers: {text}", text, "token")
        found[length] = (whose,) if isinstance(whose, str) else tuple(whose)
    return found


def tiers_of(text: str) -> dict[float, tuple[str, ...]]:
    """The same from a flag: "8k:all,32k:gold+silver"."""
    pairs = [each.partition(":") for each in text.split(",") if each.strip()]
    if not pairs or not all(length.strip() and whose.strip() for length, _, whose in pairs):
        raise BadInput(f"--tier {text!r:.60} does not say who has which context: 8k:all,32k:gold.")
    return contexts_of({length.strip(): list(values.words(whose)) for length, _, whose in pairs})


def _engine(
    name: str, file: EngineFile, price: PriceChips, environment: Mapping[str, str]
) -> EngineSettings:
    where = f"[engines.{name}]"
    chips = price(file.chips) if file.chips else Chips(1.0, 0.0, 0.0, 0.0)
    models = file.models
    if file.slots is not None and file.slots < 1:
        raise BadInput(f"{where} slots = {file.slots}: an engine takes at least one at a time.")
    key = _key(where, file.key_env, environment)
    try:
        address(file.url)
    except BadInput as error:
        raise BadInput(f"{where} url: {error}") from None
    try:
        bearer(key)
    except BadInput as error:
        raise BadInput(f"{where} key_env: {error}") from None
    return EngineSettings(
        name=name,
        url=file.url,
        key=key,
        models=dict(zip(models, models, strict=True)) if isinstance(models, list) else models,
        slots=file.slots,
        room=int(_in(f"{where} cache", file.cache, "token")) if file.cache else None,
        chips=chips.number,
        rate=_in(f"{where} price", file.price, "USD/s") if file.price else chips.rate,
        power=_in(f"{where} power", file.power, "W") if file.power else chips.power,
        idle=_in(f"{where} idle", file.idle, "W") if file.idle else chips.idle,
        metrics=file.metrics,
        ordered=file.ordered,
        sleep=file.sleep,
        wake=file.wake,
    )


def _models(file: GatewayFile) -> tuple[ModelSettings, ...]:
    return tuple(_model(name, each) for name, each in file.models.items())


def _model(name: str, file: ModelFile) -> ModelSettings:
    where = f"[models.{name}]"
    price = None
    if file.cached and not file.prompt:
        raise BadInput(f"{where} cached: is the price of a part of the prompt; give prompt too.")
    if file.prompt or file.answer:
        prompt = _per_token(f"{where} prompt", file.prompt)
        cached = _per_token(f"{where} cached", file.cached) if file.cached else prompt
        price = Price(prompt=prompt, cached=cached, answer=_per_token(where, file.answer))
    return ModelSettings(
        name=name,
        context=int(_in(f"{where} context", file.context, "token")) if file.context else None,
        price=price,
        ttft=_in(f"{where} ttft", file.ttft, "s") if file.ttft else None,
        smaller=file.smaller,
    )


def tenant_of(name: str, file: TenantFile, environment: Mapping[str, str]) -> Tenant:
    """A tenant of a file's table, or of the administration. Raises BadInput."""
    if not name.strip() or not name.isprintable():
        raise BadInput(f"{name!r:.60} is no name of a tenant: write characters that can be seen.")
    where = f"[tenants.{name}]"
    if not 0 < file.weight < inf:
        raise BadInput(f"{where} weight = {file.weight:g}: it must be a number above 0.")
    names = [file.key_env] if isinstance(file.key_env, str) else file.key_env
    keys = [_hash(where, key) for key in file.keys]
    keys += [hashed(_key(where, each, environment)) for each in names if each]
    ceiling = _share(f"{where} ceiling", file.ceiling)
    if ceiling == 0:
        raise BadInput(
            f"{where} ceiling = {file.ceiling!r:.60}: with nothing it would wait for ever; leave "
            "ceiling out, or give it models = [] to answer nothing."
        )
    tiers = tuple(file.service_tiers) or Tenant(name="").tiers
    if unknown := set(tiers) - {"default", "priority", "flex"}:
        raise BadInput(f"{where} service_tiers: {unknown.pop()!r} is none; default, priority, flex")
    if file.seal_env:
        sealer(file.seal_env, environment.get(file.seal_env, ""))
    return Tenant(
        name=name,
        keys=tuple(keys),
        key_env=tuple(each for each in names if each),
        group=file.group,
        weight=file.weight,
        floor=_share(f"{where} floor", file.floor),
        ceiling=ceiling,
        context=_in(f"{where} context", file.context, "token") if file.context else inf,
        tiers=tiers,
        limits=limits_of(file.limits, where),
        models=None if file.models is None else tuple(file.models),
        store=file.store,
        retention=_in(f"{where} retention", file.retention, "s"),
        seal=file.seal_env,
        said=file,
    )


def distinct(tenants: Iterable[Tenant]) -> None:
    """Refuse a key that two tenants have."""
    owner: dict[str, str] = {}
    for tenant in tenants:
        for key in tenant.keys:
            if owner.setdefault(key, tenant.name) != tenant.name:
                raise BadInput(
                    f"[tenants.{tenant.name}] has a key that [tenants.{owner[key]}] has too; give "
                    "each its own."
                )


def _hash(where: str, key: str) -> str:
    """A key as it is kept. In a file it is only its hash."""
    kind, _, digest = key.partition(":")
    if kind != "sha256" or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise BadInput(
            f"{where} keys: write each as sha256:HEX, never the key itself; `eke serve key NAME` "
            "makes one. A key in an environment variable goes into key_env."
        )
    return digest


def _key(where: str, name: str, environment: Mapping[str, str]) -> str:
    if not name:
        return ""
    if not environment.get(name):
        raise BadInput(f"{where} key_env: the environment variable {name} is not set.")
    return environment[name]


def _patience(file: Mapping[str, str | int]) -> Patience:
    found: dict[str, Any] = {}
    usual = fields(Patience())
    for name, value in file.items():
        if name not in usual:
            known = ", ".join(usual)
            raise BadInput(f"[patience] {name}: there is no such setting; there are {known}.")
        where = f"[patience] {name}"
        if name == "retries":
            found[name] = _count(where, value)
            continue
        found[name] = _in(where, str(value), "s")
        if found[name] <= 0 and name not in ("drain", "alone"):
            raise BadInput(f"{where} = {value!r}: it must be above 0.")
    return Patience(**found)


def _count(where: str, value: str | int) -> int:
    """A whole number from 0."""
    if isinstance(value, int) and value >= 0:
        return value
    raise BadInput(f"{where} = {value!r:.60}: write a whole number from 0.")


def _share(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return values.share(text)
    except BadQuantity as error:
        raise BadInput(f"{where}: {error}") from None


def _per_token(where: str, text: str) -> float:
    """A price such as "0.5 USD/Mtoken" [USD/token]."""
    return _in(where, text or "0 USD/token", "USD/token")


def _origin(text: str) -> str:
    """Where pages come from, as browsers write it."""
    if not _ORIGIN.fullmatch(text):
        like = "https://chat.example.com or http://localhost:3000"
        raise BadInput(f"origins: {text!r:.60} is none; write each with no path, such as {like}.")
    return text.lower()


def _one_of(where: str, given: str, known: Sequence[str]) -> Any:
    if given not in known:
        raise BadInput(f"{where} = {given!r:.40}: there are {', '.join(known)}.")
    return given


def _port(where: str, port: int) -> int:
    if not 0 <= port <= 65535:
        raise BadInput(f"{where} = {port}: ports are 0 to 65535.")
    return port


def _in(where: str, text: str, unit: str) -> float:
    """A quantity of a file that is not below 0, with its place in the message."""
    try:
        found = quantity(text, unit)
    except BadQuantity as error:
        raise BadInput(f"{where}: {error}") from None
    if found < 0:
        raise BadInput(f"{where}: {text!r:.60} is below 0.")
    return found
