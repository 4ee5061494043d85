"""The page of the command line is written from the commands."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    page = runpy.run_path(str(DOCS / "generate_cli.py"))["page"]
    assert (DOCS / "cli.md").read_text() == page(), "run python docs/generate_cli.py"


def test_links_between_pages_lead_somewhere() -> None:
    root = DOCS.parent
    for page in [*root.glob("*.md"), *DOCS.rglob("*.md")]:
        for target in page.read_text().split("](")[1:]:
            link = target.partition(")")[0].partition("#")[0]
            if link and "://" not in link and "\n" not in link:
                assert (page.parent / link).exists(), f"{page.relative_to(root)} links to {link}, which does not exist"
