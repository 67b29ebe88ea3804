"""The pages that people have written, as the site shows them: from docs/ and the root of the repository."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

FROM_ROOT = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "reporting.md"}
"""Pages of the root, by their names on the site."""
_KEPT = {".md", ".png", ".svg", ".json", ".py"}
_LINK = re.compile(r"(?P<code>`+[^`]+`+)|(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def copy(root: Path, sources: Path) -> None:
    """Copy every page, picture and program of docs/ to `sources`, with links that the site can follow."""
    docs = root / "docs"
    for file in sorted(docs.rglob("*")):
        inner = file.relative_to(docs)
        if not file.is_file() or file.suffix not in _KEPT or inner.parts[0] == "site":
            continue
        _put(file, sources / inner, root)
    for name, shown in FROM_ROOT.items():
        _put(root / name, sources / shown, root)


def _put(file: Path, target: Path, root: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".md":
        target.write_text(for_site(file.read_text(), file, root))
    else:
        shutil.copy(file, target)


def for_site(text: str, page: Path, root: Path) -> str:
    """Return a page without comments whose links stay on the site; one to the source becomes the name of its file."""

    def moved(found: re.Match[str]) -> str:
        if found["code"]:
            return found[0]
        picture, shown, address = found.groups()[1:]
        path, _, anchor = address.partition("#")
        if not path or re.match(r"[a-z]+:", address):
            return found[0]
        place = _place_on_site((page.parent / path).resolve(), root)
        if place is None:
            name = (page.parent / path).resolve().relative_to(root).as_posix()
            return shown if shown.strip("`") == name else f"{shown} (`{name}`)"
        here = _place_on_site(page.resolve(), root) or page.name
        up = "../" * (len(Path(here).parts) - 1)
        return f"{picture}[{shown}]({up}{place}{'#' + anchor if anchor else ''})"

    return outside_of_fences(text, lambda part: _LINK.sub(moved, spaced(_COMMENT.sub("", part))))


def outside_of_fences(text: str, change: Callable[[str], str]) -> str:
    """Return the text with everything but its fenced blocks changed."""
    parts: list[str] = []
    at = 0
    for fence in _FENCE.finditer(text):
        parts += (change(text[at : fence.start()]), fence[0])
        at = fence.end()
    return "".join([*parts, change(text[at:])])


def spaced(text: str) -> str:
    """Return Markdown whose lists the generator reads as GitHub does: below a line of text, and inside others."""
    below_text = re.sub(
        r"^((?!\s*(?:[-*]|\d+\.) |[|#]|\s).+)\n(?=(?:[-*]|\d+\.) )", r"\1\n\n", text, flags=re.MULTILINE
    )
    return re.sub(r"^ {2}(?= ?[-*] )", "    ", below_text, flags=re.MULTILINE)


def _place_on_site(file: Path, root: Path) -> str | None:
    if file.parent == root:
        return FROM_ROOT.get(file.name)
    docs = root / "docs"
    if file == docs / "decisions":
        return "decisions/index.md"
    if not file.is_relative_to(docs) or file.relative_to(docs).parts[0] == "site":
        return None
    return file.relative_to(docs).as_posix()


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Return the text with everything but its inline code changed."""
    return "".join(part if part.startswith("`") else change(part) for part in re.split(r"(`+[^`]+`+)", text))
