"""The programs that docs/client.md shows are parts of files that other tests run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "client.md").read_text()


def test_what_is_said_to_be_from_a_file_stands_there() -> None:
    shown = re.findall(r"From `([\w/]+\.(?:py|ts))`:\n\n```\w+\n(.*?)```", GUIDE, re.DOTALL)
    assert len(shown) == 3
    for name, block in shown:
        assert block in (ROOT / name).read_text(), name
