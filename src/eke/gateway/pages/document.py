"""A page as bytes: its style and script inside, and nothing else let in."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
AGAIN = 5  # seconds between loads of a page whose script does not run


def document(title: str, body: str) -> bytes:
    """The whole page."""
    style, script, policy = _pieces()
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<noscript><meta http-equiv="refresh" content="{AGAIN}"></noscript>\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    ).encode()


@cache
def _pieces() -> tuple[str, str, str]:
    """Style, script, and what a browser may do: run that script, and ask the gateway again."""
    style, script = ((HERE / f"status.{kind}").read_text("utf-8") for kind in ("css", "js"))
    digests = [
        b64encode(hashlib.sha256(each.encode()).digest()).decode()
        for each in (f"\n{style}", script)
    ]
    policy = (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    return style, script, policy
