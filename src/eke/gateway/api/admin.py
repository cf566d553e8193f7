"""The administration: tenants, keys, engines, budgets. On a port of its own, with its own key."""

from __future__ import annotations

from base64 import b64decode
from hmac import compare_digest
from typing import Any

import msgspec

from eke.errors import BadInput
from eke.gateway.api.reading import Scope, header
from eke.gateway.api.routes import Asking, Route
from eke.gateway.configuration import TenantFile
from eke.gateway.engines.engine import Engine
from eke.gateway.membership import Membership
from eke.gateway.refusal import Refusal, bad, not_found
from eke.gateway.settings import Tenant
from eke.gateway.state import budgets, deleting
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import KIND as JOB
from eke.types.record import fields

ADMIN = Tenant(name="admin")


class NewKey(msgspec.Struct):
    """A key that is wanted. name: what it is called."""

    name: str = ""


def admit(scope: Scope, key: str) -> None:
    """Raises Refusal 401 where a request has no key, and 403 where it changes something and comes
    from a page of somebody else, to which a browser adds the key that it remembers."""
    if not _allowed(header(scope, b"authorization"), key):
        ask = (b"www-authenticate", b'Basic realm="eke", charset="UTF-8"')
        words = "The administration needs its key."
        raise Refusal(401, words, code="invalid_api_key", headers=(ask,))
    if scope["method"] not in ("GET", "HEAD") and _foreign(scope):
        raise Refusal(403, "Pages of other sites may not drive the administration.")


def _foreign(scope: Scope) -> bool:
    """Whether a browser says that a page of another site asks; what is no browser says nothing."""
    site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin")
    if site:
        return site not in (b"same-origin", b"none")
    return bool(origin) and origin.partition(b"://")[2] != header(scope, b"host")


def _allowed(authorization: bytes, key: str) -> bool:
    """Whether an Authorization header, bearer or basic with any user, carries the key; none carries
    an empty one."""
    kind, _, given = authorization.partition(b" ")
    if kind.lower() == b"basic":
        try:
            given = b64decode(given, validate=True).partition(b":")[2]
        except ValueError:
            return False
    return bool(key) and compare_digest(given.strip(), key.encode())


async def tenants(asking: Asking) -> None:
    """All tenants, those of the file too."""
    gateway = asking.gateway
    added = {each.name for each in gateway.members}
    data = [
        {**_told(tenant), "added": tenant.name in added}
        for tenant in gateway.tenants.by_name.values()
    ]
    await asking.reply(200, {"object": "list", "data": data})


async def put_tenant(asking: Asking) -> None:
    """Add a tenant or change it: the fields of [tenants.NAME] in gateway.toml."""
    file = await asking.json(TenantFile)
    try:
        tenant = await _members(asking).put(asking.parts["tenant"], file)
    except BadInput as error:
        raise bad(str(error)) from None
    await asking.reply(200, _told(tenant))


async def remove_tenant(asking: Asking) -> None:
    """Remove a tenant, its keys, and every text that is kept of it; one of the file, or whom an
    open gateway answers without knowing it, only loses its texts and what it has used."""
    name, members, gateway = asking.parts["tenant"], _members(asking), asking.gateway
    forgotten = await members.state.write(deleting.forget, name)
    if not forgotten.rows and name not in gateway.tenants.by_name:
        raise not_found(f"There is no tenant {name!r:.60}, and nothing is kept of it.")
    for each in forgotten.documents:
        if each.kind == JOB:
            Folder(gateway.settings.jobs, each.id).erase()
    await members.state.scrub()
    await members.refresh()
    await asking.reply(200, {"tenant": name, "deleted": forgotten.rows > 0})


async def new_key(asking: Asking) -> None:
    """A new key; it is told this once."""
    wanted = await asking.json(NewKey)
    try:
        key = await _members(asking).new_key(asking.parts["tenant"], wanted.name)
    except BadInput as error:
        raise bad(str(error)) from None
    await asking.reply(200, {"key": key, "tenant": asking.parts["tenant"], "name": wanted.name})


async def keys(asking: Asking) -> None:
    """All keys by their hashes."""
    found = await _members(asking).keys()
    await asking.reply(200, {"object": "list", "data": found})


async def revoke_key(asking: Asking) -> None:
    """A key that is good no longer."""
    try:
        was = await _members(asking).revoke(asking.parts["hash"])
    except BadInput as error:
        raise bad(str(error)) from None
    if not was:
        raise not_found("There is no such key, or it is revoked already.")
    await asking.reply(200, {"deleted": True})


async def engines(asking: Asking) -> None:
    """All engines, and how they are."""
    data = [_engine(engine) for engine in asking.gateway.engines.values()]
    await asking.reply(200, {"object": "list", "data": data})


async def drain(asking: Asking) -> None:
    """Give an engine nothing new."""
    await _drained(asking, True)


async def undrain(asking: Asking) -> None:
    """Give an engine requests again."""
    await _drained(asking, False)


async def standing(asking: Asking) -> None:
    """Budgets and rates of a tenant, over all gateways."""
    state = asking.gateway.state
    if state is None:
        raise Refusal(501, "There is no state, so budgets are this process's alone.")
    found = await state.read(budgets.standing, asking.parts["tenant"])
    await asking.reply(200, {"object": "list", "data": found})


def _members(asking: Asking) -> Membership:
    found = asking.gateway.membership
    if found is None:
        raise Refusal(501, 'Tenants are kept in the state; give one, such as state = "eke.db".')
    return found


async def _drained(asking: Asking, draining: bool) -> None:
    gateway, name = asking.gateway, asking.parts["engine"]
    engine = next((each for each in gateway.engines.values() if each.name == name), None)
    if engine is None:
        raise not_found(f"There is no engine {name!r:.60}.")
    engine.resting = draining
    gateway.report(engine)
    await asking.reply(200, _engine(engine))


def _engine(engine: Engine) -> dict[str, Any]:
    return {
        "name": engine.name,
        "url": engine.settings.url,
        "alive": engine.alive,
        "draining": engine.draining or engine.resting,
        "models": engine.models,
        "limit": engine.capacity.limit,
        "running": engine.running,
        "inside": engine.inside,
        "trouble": engine.trouble,
    }


def _told(tenant: Tenant) -> dict[str, Any]:
    """A tenant without its keys, inf as null."""
    found = fields(tenant) | {"keys": len(tenant.keys)}
    found["limits"] = [f"{limit.amount:g} {limit.name}" for limit in tenant.limits]
    return found


ROUTES = (
    Route("GET", "/admin/tenants", tenants),
    Route("PUT", "/admin/tenants/{tenant}", put_tenant),
    Route("DELETE", "/admin/tenants/{tenant}", remove_tenant),
    Route("POST", "/admin/tenants/{tenant}/keys", new_key),
    Route("GET", "/admin/tenants/{tenant}/budgets", standing),
    Route("GET", "/admin/keys", keys),
    Route("DELETE", "/admin/keys/{hash}", revoke_key),
    Route("GET", "/admin/engines", engines),
    Route("POST", "/admin/engines/{engine}/drain", drain),
    Route("POST", "/admin/engines/{engine}/undrain", undrain),
)
