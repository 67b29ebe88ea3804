"""The map of an event log as a form: which column of the file is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from web.event_logs.wording import ROLES, ROLES_HELP
from web.forms.fields import Field
from web.forms.reading import Entries
from web.languages import Wording

_REQUIRED: Final = ("case", "activity", "timestamp")
_ONE: Final = (*_REQUIRED, "person", "lifecycle")


def map_fields(columns: Sequence[Mapping[str, Any]], mapped: Mapping[str, Any], wording: Wording) -> tuple[Field, ...]:
    """Return the fields of a map over these columns of a file, filled in as `mapped` says."""
    say = wording.say
    options = tuple((str(column["name"]), _shown(column)) for column in columns)
    known = {name for name, _ in options}
    fields = [
        Field(
            name=f"map.{role}",
            pointer=f"/map/{role}",
            label=say(ROLES[role]),
            widget="choice",
            options=options,
            value=value if (value := str(mapped.get(role) or "")) in known else "",
            required=role in _REQUIRED,
            help=say(ROLES_HELP[role]),
        )
        for role in _ONE
    ]
    fields.append(
        Field(
            name="map.attributes",
            pointer="/map/attributes",
            label=say(ROLES["attributes"]),
            widget="choices",
            options=options,
            values=tuple(str(one) for one in mapped.get("attributes") or ()),
            help=say(ROLES_HELP["attributes"]),
        )
    )
    return tuple(fields)


def read_map_form(entries: Entries) -> dict[str, Any] | None:
    """Return the map that was entered; None where the form had none yet."""
    if not any(name.startswith("map.") for name in entries.values):
        return None
    found: dict[str, Any] = {role: text for role in _ONE if (text := entries.text(f"map.{role}"))}
    return found | {"attributes": entries.texts("map.attributes")}


def _shown(column: Mapping[str, Any]) -> str:
    examples = ", ".join(str(one)[:30] for one in column["examples"][:2])
    return f"{column['name']} ({examples})" if examples else str(column["name"])
