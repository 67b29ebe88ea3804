"""The reference: pages that are written from the code, so that they say what it does."""

from __future__ import annotations

import json
from pathlib import Path

from api.app import describe
from docs.site.reference import blueprints, command_line, errors, events, http_api, metrics, settings


def write_reference(folder: Path) -> None:
    """Write the pages of the reference into a folder."""
    document = describe()
    pages = {
        "settings.md": settings.page(),
        "metrics.md": metrics.page(),
        "events.md": events.page(),
        "errors.md": errors.page(),
        "commands.md": command_line.page(),
        "blueprints.md": blueprints.page(),
        **http_api.pages(document),
    }
    for name, text in pages.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (folder / "openapi.json").write_text(json.dumps(document, indent=2) + "\n")
