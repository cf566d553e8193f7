"""`eke claims`: published claims about AI compute, reproduced or refuted."""

from __future__ import annotations

import click


@click.command()
@click.argument("name", required=False, metavar="[ID]")
@click.option("--json", "as_json", is_flag=True, help="The same record as JSON.")
def command(name: str | None, as_json: bool) -> None:
    """Published claims, reproduced: a table, or the working of one (by id or number)."""
    from eke.claims.claim import claim, claim_names
    from eke.claims.work import verdict
    from eke.report.claims import claim_words, claims_table
    from eke.report.json import to_json

    if name is not None:
        found = verdict(claim(name))
        click.echo(to_json(found) if as_json else claim_words(found), nl=as_json)
        return
    every = [verdict(claim(each)) for each in claim_names()]
    click.echo(to_json(every) if as_json else claims_table(every), nl=as_json)
