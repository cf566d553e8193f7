"""gateway.toml, and the flags of `eke serve`, as settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import join
from typing import Any, get_args

import tomli

from eke.errors import BadFile, BadInput, BadQuantity
from eke.gateway.engines.address import address, bearer
from eke.gateway.named import check_models
from eke.gateway.said import (
    amount,
    count,
    key_from,
    one_of,
    origin,
    per_token,
    port_of,
    share,
)
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
    TenantFile,
)
from eke.gateway.shares import check
from eke.gateway.tables import to_record
from eke.gateway.tenant_tables import distinct, tenant_of
from eke.gateway.tuning.command import command_of
from eke.policy import values
from eke.types.record import Record, fields

LARGEST = 4 << 20  # bytes of a file


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
        origins=tuple(origin(each) for each in file.origins),
        host=file.host,
        port=port_of("port", file.port),
        admin=None if file.admin is None else port_of("admin.port", file.admin.port),
        admin_key="" if file.admin is None else environment.get(file.admin.key_env, ""),
        key_env=_variables(file),
        state=file.state,
        record=file.record,
        longest_body=int(amount("longest_body", file.longest_body, "B")),
        longest_file=int(amount("longest_file", file.longest_file, "B")),
        longest_batch=int(amount("longest_batch", file.longest_batch, "B")),
        batch_discount=share("batch_discount", file.batch_discount) or 0.0,
        patience=_patience(file.patience),
        contexts=contexts_of(file.tiers),
        log=one_of("[log] level", file.log.level.lower(), LEVELS),
        log_form=one_of("[log] form", file.log.form, get_args(Form)),
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
        length = amount(f"tiers: {text}", text, "token")
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
    key = key_from(where, file.key_env, environment)
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
        room=int(amount(f"{where} cache", file.cache, "token")) if file.cache else None,
        chips=chips.number,
        rate=amount(f"{where} price", file.price, "USD/s") if file.price else chips.rate,
        power=amount(f"{where} power", file.power, "W") if file.power else chips.power,
        idle=amount(f"{where} idle", file.idle, "W") if file.idle else chips.idle,
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
        prompt = per_token(f"{where} prompt", file.prompt)
        cached = per_token(f"{where} cached", file.cached) if file.cached else prompt
        price = Price(prompt=prompt, cached=cached, answer=per_token(where, file.answer))
    return ModelSettings(
        name=name,
        context=int(amount(f"{where} context", file.context, "token")) if file.context else None,
        price=price,
        ttft=amount(f"{where} ttft", file.ttft, "s") if file.ttft else None,
        smaller=file.smaller,
    )


def _patience(file: Mapping[str, str | int]) -> Patience:
    found: dict[str, Any] = {}
    usual = fields(Patience())
    for name, value in file.items():
        if name not in usual:
            known = ", ".join(usual)
            raise BadInput(f"[patience] {name}: there is no such setting; there are {known}.")
        where = f"[patience] {name}"
        if name == "retries":
            found[name] = count(where, value)
            continue
        found[name] = amount(where, str(value), "s")
        if found[name] <= 0 and name not in ("drain", "alone"):
            raise BadInput(f"{where} = {value!r}: it must be above 0.")
    return Patience(**found)
