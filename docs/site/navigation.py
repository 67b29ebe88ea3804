"""The navigation of the site: `PATTERN` in zensical.toml stands for all pages that fit it, by their titles."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def title_of(page: Path) -> str:
    """Return the first heading of a page."""
    first = next((line for line in page.read_text().splitlines() if line.startswith("# ")), f"# {page.stem}")
    return first.removeprefix("# ").replace("`", "")


def listed(title: str, sources: Path, pattern: str) -> str:
    """Return a page that lists the pages that fit a pattern, which are in one folder."""
    links = [f"- [{title_of(page)}]({page.name})" for page in sorted(sources.glob(pattern))]
    return "\n".join([f"# {title}", "", *links, ""])


def expanded(configuration: str, sources: Path) -> str:
    """Return the configuration with each pattern, such as "decisions/0*.md", replaced by the pages that fit it."""

    def entries(found: re.Match[str]) -> str:
        pages = sorted(sources.glob(found[1]))
        return ", ".join(f"{{ {json.dumps(_entry(page))} = {json.dumps(_name(page, sources))} }}" for page in pages)

    return re.sub(r'"([\w/*]+\*[\w/*]*\.md)"', entries, configuration)


def pages_without_a_place(configuration: str, sources: Path) -> list[str]:
    """Return the pages that the navigation does not lead to."""
    named = set(_files(tomllib.loads(configuration)["project"]["nav"]))
    return sorted({_name(page, sources) for page in sources.rglob("*.md")} - named)


def _entry(page: Path) -> str:
    """Return a page's title without what all pages of its group begin with."""
    title = title_of(page).removeprefix("HTTP API: ")
    return title[0].upper() + title[1:]


def _name(page: Path, sources: Path) -> str:
    return page.relative_to(sources).as_posix()


def _files(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for each in entry.values():
            yield from _files(each)
    else:
        for each in entry:
            yield from _files(each)
