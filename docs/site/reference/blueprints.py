"""The shape of a blueprint, from its JSON Schema."""

from __future__ import annotations

from typing import Final

from docs.site.reference.json_schemas import kind_of, members
from docs.site.reference.markdown import plain
from placet.definition.model import definition_schema

_INTRO: Final = (
    "A blueprint is one JSON document. [Blueprints](../blueprint.md) explains what its parts do; this page "
    "has every field. The [JSON Schema](../blueprint.schema.json) of the same can be given to an editor, "
    "which then completes and checks a blueprint while it is written."
)


def page() -> str:
    """Return the page of the blueprint's schema."""
    schema = definition_schema()
    shapes = schema["$defs"]

    def linked(name: str) -> str:
        return f"[{name}](#{name.lower()})"

    parts = [
        "# Blueprint schema",
        _INTRO,
        "## The blueprint",
        members(schema, shapes, linked),
    ]
    for name, shape in sorted(shapes.items()):
        parts += [f"## {name}", plain(shape.get("description", ""))]
        table = members(shape, shapes, linked)
        parts.append(table or f"One value: {kind_of(shape, shapes, linked)}.")
    return "\n\n".join(part for part in parts if part)
