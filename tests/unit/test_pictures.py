"""The pictures of README and docs: each that a page shows is made by a browser test, and each that is made is shown."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))


def shown() -> set[Path]:
    """Return the pictures that the pages show."""
    return {
        (page.parent / address).resolve()
        for page in PAGES
        for address in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", page.read_text())
    }


def made() -> Iterator[str]:
    """Yield the names of the pictures that `make pictures` makes: those of a test's `illustrate`, and two of `kept`."""
    tree = ast.parse((ROOT / "tests/acceptance/test_browser_pictures.py").read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        names = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if called == "illustrate" and names:
            yield f"{names[0]}.png"
        elif called == "kept":
            yield from (f"{names[0]}.png", f"{names[0]}-phone.png")


def test_every_photograph_that_readme_and_docs_show_is_made_by_make_pictures() -> None:
    photographs = {one.name for one in shown() if one.suffix == ".png"}
    assert photographs == set(made())
    assert "PLACET_PICTURES=docs/images" in (ROOT / "Makefile").read_text()


def test_every_picture_is_there_and_shown_and_one_that_is_drawn_by_hand_is_text() -> None:
    assert shown() == {file.resolve() for file in IMAGES.iterdir()}
    for file in shown():
        if file.suffix != ".png":
            assert file.suffix == ".svg", "what is drawn by hand can be changed by hand"
            assert "<image" not in file.read_text()
