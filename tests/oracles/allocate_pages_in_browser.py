"""Pages of `eke allocate` in a real browser: those of the examples that are kept as goldens, and
invented ones with names that are markup. Run and recorded as `page_in_browser` is.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from functools import partial
from pathlib import Path

from click.testing import CliRunner

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from page_in_browser import check_pages  # noqa: E402
from tests.choices import CHOICES, DESIGNS, choice, designs  # noqa: E402
from tests.golden.write import COMMANDS  # noqa: E402
from tests.shares import ALLOCATIONS, EVIL, moves, provided  # noqa: E402

from eke.cli import entry  # noqa: E402
from eke.report.allocated_page import allocated_page  # noqa: E402
from eke.report.chip_page import chip_page  # noqa: E402
from eke.report.design_page import design_page  # noqa: E402

RECORD = HERE / "record" / "allocate_pages_in_browser.json"
EXAMPLES = [name for name in COMMANDS if name.startswith("allocate-")]


def example(name: str) -> str:
    """The page of a golden's command."""
    words = shlex.split(COMMANDS[name])
    sys.argv = ["eke", *words]
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        result = CliRunner().invoke(entry, [*words, "--report", str(page)], catch_exceptions=False)
        if result.exit_code:
            raise SystemExit(f"eke {COMMANDS[name]}: {result.output}")
        return page.read_text("utf-8")


def chip(name: str) -> str:
    return chip_page(choice(name), f"eke {name}")


def design(name: str) -> str:
    return design_page(designs(name), f"eke {name}")


def provider(name: str) -> str:
    return allocated_page(provided(name), moves(EVIL if name == "evil" else ""), f"eke {name}")


if __name__ == "__main__":
    pages = {name: partial(example, name) for name in EXAMPLES}
    pages |= {f"chip {name}": partial(chip, name) for name in CHOICES}
    pages |= {f"design {name}": partial(design, name) for name in DESIGNS}
    pages |= {f"provider {name}": partial(provider, name) for name in ALLOCATIONS}
    check_pages(pages, RECORD, __doc__ or "")
