"""The fenced blocks of README, CONTRIBUTING, SECURITY and docs/, each of which a test runs or checks.

What a block is checked as stands in a comment on the line before it, which readers do not see:

- `<!-- checked as graph -->` names a shape (tests.doc_blocks.documents) of a JSON block;
- `<!-- checked as body of POST /path/ -->` and `<!-- checked as answer of GET /path/ -->` name one of OpenAPI;
- `<!-- run by tests/….py -->` names the test that runs the block as it stands there;
- `<!-- excerpt: why -->` says why the block can be neither run nor checked. A test counts these.

A program or a command needs no comment: commands are parsed by what they call (tests.doc_blocks.commands).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^(?:<!-- ([^\n]+?) -->\n)?( *)```([^\n]*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: where it stands, its language, the comment before it, and the file that it is a part of."""

    page: Path
    line: int
    language: str
    mark: str
    source: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path, text: str | None = None) -> Iterator[Block]:
    """Yield the blocks of a page."""
    whole = page.read_text() if text is None else text
    for found in _BLOCK.finditer(whole):
        before = whole[: found.start()]
        source = re.search(r"From `([\w./-]+)`:\n\n$", before)
        yield Block(
            page=page,
            line=before.count("\n") + 1,
            language=found[3].strip(),
            mark=found[1] or "",
            source=source[1] if source else "",
            text=found[4],
        )


def every_block() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for page in PAGES for block in blocks_of(page)]
