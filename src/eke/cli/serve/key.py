"""`eke serve key`: a new key for a tenant."""

from __future__ import annotations

import click


@click.command()
@click.argument("tenant")
def command(tenant: str) -> None:
    """A new key for TENANT. The key goes to its owner; only its hash goes into gateway.toml."""
    from eke.gateway.tenants import hashed, new_key

    key = new_key()
    click.echo(key)
    click.echo(f'[tenants.{_named(tenant)}]\nkeys = ["sha256:{hashed(key)}"]', err=True)


def _named(name: str) -> str:
    """A name as TOML writes it in a table's head."""
    import json
    import re

    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    return json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")
