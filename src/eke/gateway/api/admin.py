"""The administration: tenants, keys, engines, budgets. On a port of its own, with its own key."""

from __future__ import annotations

from base64 import b64decode
from hmac import compare_digest
from typing import Any

from eke.errors import BadInput
from eke.gateway.api.reading import Scope, header
from eke.gateway.api.routes import Asking, Route
from eke.gateway.engines.engine import Engine
from eke.gateway.membership import InFile, Membership
from eke.gateway.refusal import Refusal, bad, not_found
from eke.gateway.reloading import newest
from eke.gateway.seeing.budgets import standings
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.state import budgets, deleting
from eke.gateway.state.deleting import Forgotten
from eke.gateway.tables import to_record
from eke.gateway.tenants import hashed
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import KIND as JOB
from eke.types.record import Record, fields

ADMIN = Tenant(name="admin")


class NewKey(Record):
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
    data = [_told(asking, tenant) for tenant in asking.gateway.tenants.by_name.values()]
    await asking.reply(200, {"object": "list", "data": data})


async def get_tenant(asking: Asking) -> None:
    """One tenant, as it can be put back."""
    found = asking.gateway.tenants.by_name.get(asking.parts["tenant"])
    if found is None:
        raise not_found(f"There is no tenant {asking.parts['tenant']!r:.60}.")
    await asking.reply(200, _told(asking, found))


async def put_tenant(asking: Asking) -> None:
    """Add a tenant or change it: the fields of [tenants.NAME] in gateway.toml."""
    members, name = _members(asking), asking.parts["tenant"]
    said = await asking.json(dict[str, Any])
    said.pop("added", None)  # as it was told
    if (other := said.pop("name", name)) != name:
        raise bad(f"name is {other!r:.60}, and the address says {name!r:.60}.", "name")
    try:
        found = await members.put(name, to_record(said, TenantFile, ""))
    except BadInput as error:
        raise _refused(error) from None
    await asking.reply(200, _told(asking, found))


async def remove_tenant(asking: Asking) -> None:
    """Remove a tenant that was added, with its keys and budgets and every text of it."""
    name = asking.parts["tenant"]
    try:
        forgotten = await _members(asking).remove(name)
    except BadInput as error:
        raise _refused(error, f"its texts go with DELETE /admin/tenants/{name:.60}/texts") from None
    if forgotten is None:
        raise not_found(
            f"No tenant {name!r:.60} was added. What is kept of somebody whom an open gateway "
            f"answered goes with DELETE /admin/tenants/{name:.60}/texts."
        )
    await _erase(asking, forgotten)
    await asking.reply(200, {"tenant": name, "deleted": True})


async def remove_texts(asking: Asking) -> None:
    """Delete every text that is kept of a tenant, or of somebody whom an open gateway answered;
    what it used of its budgets stays."""
    name = asking.parts["tenant"]
    forgotten = await _members(asking).state.write(deleting.forget_texts, name)
    if not forgotten.rows and name not in asking.gateway.tenants.by_name:
        raise not_found(f"There is no tenant {name!r:.60}, and nothing is kept of it.")
    await _erase(asking, forgotten)
    await asking.reply(200, {"tenant": name, "deleted": forgotten.rows > 0})


async def new_key(asking: Asking) -> None:
    """A new key; it is told this once."""
    name, wanted = asking.parts["tenant"], await asking.json(NewKey)
    try:
        key = await _members(asking).new_key(name, wanted.name)
    except BadInput as error:
        raise _refused(error) from None
    told = {"key": key, "hash": hashed(key), "tenant": name, "name": wanted.name}
    await asking.reply(200, told)


async def keys(asking: Asking) -> None:
    """All keys by their hashes."""
    found = [key for key in await _members(asking).keys() if key.tenant]
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
    """Budgets and rates of a tenant in each window of time, over all gateways."""
    gateway, name = asking.gateway, asking.parts["tenant"]
    if gateway.state is None:
        raise Refusal(501, "There is no state, so budgets are this process's alone.")
    windows = await gateway.state.read(budgets.standing, name)
    tenant = gateway.tenants.by_name.get(name)
    if tenant is None and not windows:
        raise not_found(f"There is no tenant {name!r:.60}, and it has used nothing.")
    data = standings(() if tenant is None else tenant.limits, windows, gateway.clock.wall())
    await asking.reply(200, {"object": "list", "data": data})


def _members(asking: Asking) -> Membership:
    found = asking.gateway.membership
    if found is None:
        raise Refusal(501, 'Tenants are kept in the state; give one, such as state = "eke.db".')
    return found


def _refused(error: BadInput, more: str = "") -> Refusal:
    """Why not. more: what can be done about a tenant of the file."""
    if not isinstance(error, InFile):
        return bad(f"{error}")
    return Refusal(409, f"{error} {more[:1].upper()}{more[1:]}." if more else f"{error}")


async def _erase(asking: Asking, forgotten: Forgotten) -> None:
    """Wipe what was deleted off the disk, and what trainers said."""
    for each in forgotten.documents:
        if each.kind == JOB:
            Folder(asking.gateway.settings.jobs, each.id).erase()
    await _members(asking).state.scrub()


async def _drained(asking: Asking, draining: bool) -> None:
    gateway, name = asking.gateway, asking.parts["engine"]
    engine = next((each for each in newest(gateway.engines.values()) if each.name == name), None)
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


def _told(asking: Asking, tenant: Tenant) -> dict[str, Any]:
    """A tenant as whoever set it up said it, so that it can be put back."""
    added = not any(each.name == tenant.name for each in asking.gateway.settings.tenants)
    return {"name": tenant.name, "added": added, **fields(tenant.said)}


ROUTES = (
    Route("GET", "/admin/tenants", tenants),
    Route("GET", "/admin/tenants/{tenant}", get_tenant),
    Route("PUT", "/admin/tenants/{tenant}", put_tenant),
    Route("DELETE", "/admin/tenants/{tenant}", remove_tenant),
    Route("DELETE", "/admin/tenants/{tenant}/texts", remove_texts),
    Route("POST", "/admin/tenants/{tenant}/keys", new_key),
    Route("GET", "/admin/tenants/{tenant}/budgets", standing),
    Route("GET", "/admin/keys", keys),
    Route("DELETE", "/admin/keys/{hash}", revoke_key),
    Route("GET", "/admin/engines", engines),
    Route("POST", "/admin/engines/{engine}/drain", drain),
    Route("POST", "/admin/engines/{engine}/undrain", undrain),
)
