"""JSON Schema in words: what a value may be, and the members of an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from docs.site.reference.markdown import code, plain, table

_BOUNDS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "maxProperties": "at most {} members",
    "pattern": "of the form {}",
}
Linked = Callable[[str], str]


def kind_of(shape: Mapping[str, Any], known: Mapping[str, Any], linked: Linked = code) -> str:
    """Return what a value may be, with its bounds; `linked` writes the name of a shape that is described elsewhere."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        if "enum" in known.get(name, {}):
            return _choices(known[name]["enum"])
        return linked(name)
    if "const" in shape:
        return code(shape["const"])
    if "enum" in shape:
        return _choices(shape["enum"])
    for several in ("anyOf", "oneOf"):
        if several in shape:
            kinds = [kind_of(each, known, linked) for each in shape[several]]
            return " or ".join(dict.fromkeys(kind if kind != "null" else "`null`" for kind in kinds))
    if "allOf" in shape and len(shape["allOf"]) == 1:
        return kind_of(shape["allOf"][0], known, linked)
    return _simple(shape, known, linked)


def members(shape: Mapping[str, Any], known: Mapping[str, Any], linked: Linked = code) -> str:
    """Return the table of an object's members."""
    needed = set(shape.get("required", ()))
    rows = []
    for name, each in shape.get("properties", {}).items():
        default = each.get("default")
        told = [plain(each["description"])] if each.get("description") else []
        if name in needed:
            told.append("Required.")
        elif default is not None and default not in ("", [], {}):
            told.append(f"Default: {code(str(default).lower() if isinstance(default, bool) else default)}.")
        rows.append([code(name), kind_of(each, known, linked), " ".join(told)])
    return table(["field", "value", "meaning"], rows)


def _choices(values: list[Any]) -> str:
    return " or ".join(code(each) for each in values)


def _simple(shape: Mapping[str, Any], known: Mapping[str, Any], linked: Linked) -> str:
    kind = shape.get("type", "any value")
    if kind == "array":
        inner = shape.get("items") or {}
        text = f"list of {kind_of(inner, known, linked)}" if inner else "list"
    elif kind == "object":
        inner = shape.get("additionalProperties")
        text = f"object of {kind_of(inner, known, linked)}" if isinstance(inner, Mapping) and inner else "object"
    else:
        text = shape.get("format", kind) if kind == "string" else str(kind)
    bounds = [
        words.format(code(shape[name]) if name == "pattern" else f"{shape[name]:,}")
        for name, words in _BOUNDS.items()
        if name in shape
    ]
    return ", ".join([text, *bounds])
