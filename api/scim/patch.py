"""PATCH of SCIM: operations on a resource, with the paths that identity providers send."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from api.scim.documents import ENTERPRISE, wrong

_MOST_OPERATIONS = 1000
# attribute, attribute.sub, attribute[sub eq "value"], attribute[sub eq "value"].sub, each with a schema before it
_PATH = re.compile(
    r'^(?:(?P<schema>urn:[\w:.-]+):)?(?P<name>\w+)(?:\[(?P<key>\w+) eq "?(?P<value>[^"\]]*)"?\])?(?:\.(?P<sub>\w+))?$',
    re.IGNORECASE,
)
_NAMES = {
    name.lower(): name
    for name in (
        *("userName", "displayName", "name", "emails", "roles", "userType", "active", "externalId", "members"),
        *("department", "manager"),
    )
}


def patched(resource: Mapping[str, Any], document: Any) -> dict[str, Any]:
    """Return a resource with the operations of a PatchOp carried out; raises InputInvalid that names the operation."""
    operations = document.get("Operations") if isinstance(document, Mapping) else None
    if not isinstance(operations, list) or not 0 < len(operations) <= _MOST_OPERATIONS:
        raise wrong("/Operations", f"write a list of 1 to {_MOST_OPERATIONS} operations")
    changed = copy.deepcopy(dict(resource))
    for number, operation in enumerate(operations):
        _carry_out(changed, operation, f"/Operations/{number}")
    return changed


def _carry_out(resource: dict[str, Any], operation: Any, place: str) -> None:
    if not isinstance(operation, Mapping):
        raise wrong(place, "write an object")
    kind = str(operation.get("op", "")).lower()
    if kind not in {"add", "replace", "remove"}:
        raise wrong(f"{place}/op", "write add, replace or remove")
    path, value = operation.get("path"), operation.get("value")
    if path is None:
        if kind == "remove" or not isinstance(value, Mapping):
            raise wrong(f"{place}/path", "name what to change")
        for name, part in value.items():
            if name == ENTERPRISE and isinstance(part, Mapping):
                for inner, each in part.items():
                    _change(resource, kind, f"{ENTERPRISE}:{inner}", each, place)
            else:
                _change(resource, kind, name, part, place)
        return
    _change(resource, kind, str(path), value, place)


def _change(resource: dict[str, Any], kind: str, path: str, value: Any, place: str) -> None:
    found = _PATH.match(path)
    if found is None:
        raise wrong(f"{place}/path", f"the path {path[:100]!r} cannot be read")
    name = _NAMES.get(found["name"].lower(), found["name"])
    holder = resource.setdefault(ENTERPRISE, {}) if (found["schema"] or "").lower() == ENTERPRISE.lower() else resource
    if found["key"] is not None:
        _change_item(holder, kind, name, found, value)
    elif found["sub"] is not None:
        inner = holder.get(name)
        if isinstance(inner, list):  # emails.value: the first
            if not inner:
                inner.append({})
            inner = inner[0]
        elif not isinstance(inner, dict):
            inner = holder[name] = {}
        _set(inner, kind, found["sub"], value)
        if name == "name":
            resource.pop("displayName", None)
            if found["sub"].lower() != "formatted":
                inner.pop("formatted", None)
    else:
        _set(holder, kind, name, value)


def _change_item(holder: dict[str, Any], kind: str, name: str, found: re.Match[str], value: Any) -> None:
    """Change the items of a list whose attribute has a value: `members[value eq "ann"]`."""
    items = holder.get(name)
    items = items if isinstance(items, list) else []
    chosen = [item for item in items if isinstance(item, dict) and str(item.get(found["key"], "")) == found["value"]]
    if kind == "remove" and found["sub"] is None:
        holder[name] = [item for item in items if item not in chosen]
        return
    if not chosen and name == "emails":  # there is one address, whatever its type is called
        chosen = items[:1]
    if not chosen:
        chosen = [{found["key"]: found["value"]}]
        items = [*items, *chosen]
    holder[name] = items or chosen
    for item in chosen:
        if found["sub"] is not None:
            _set(item, kind, found["sub"], value)
        elif isinstance(value, Mapping):
            item.update(value)


def _set(holder: dict[str, Any], kind: str, name: str, value: Any) -> None:
    there = holder.get(name)
    if kind == "remove":
        if isinstance(there, list) and isinstance(value, list):  # members with a list of whom to remove
            gone = {item.get("value") if isinstance(item, Mapping) else item for item in value}
            holder[name] = [item for item in there if not (isinstance(item, Mapping) and item.get("value") in gone)]
        else:
            holder.pop(name, None)
    elif kind == "add" and isinstance(there, list):
        more = value if isinstance(value, list) else [value]
        holder[name] = [*there, *(item for item in more if item not in there)]
    elif isinstance(there, dict) and isinstance(value, Mapping):
        holder[name] = {**there, **value}
    else:
        holder[name] = copy.deepcopy(value)
