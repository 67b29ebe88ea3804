"""Put what ships with Placet and is no code into wheels; an editable installation reads it from the checkout.

`placet.shipped` finds these files at run time, by the same names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("engine", "deploy/temporal", "blueprints")


class ShippedFiles(BuildHookInterface):  # type: ignore[type-arg]  # the builder's configuration is not read here
    """Adds the folders to a wheel, file by file: what lies beside them unversioned stays out."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to what is built."""
        if version == "editable":
            return
        for folder in FOLDERS:
            for file in sorted((Path(self.root) / folder).rglob("*")):
                if file.is_file() and file.suffix in {".mod", ".sum", ".env", ".yaml", ".json"}:
                    place = file.relative_to(self.root).as_posix()
                    build_data["force_include"][place] = f"placet/shipped/{place}"
