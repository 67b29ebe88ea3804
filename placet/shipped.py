"""Files that come with Placet and are no code: the engine's pins and settings, and the gallery of blueprints.

A wheel has them inside this package (hatch_build.py). In a checkout, and in an editable installation of it, they are in
its folders.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped(name: str) -> Path:
    """Return one of these folders, by its name in a checkout."""
    package = Path(str(resources.files("placet")))
    inside = package / "shipped" / name
    return inside if inside.is_dir() else package.parent / name
