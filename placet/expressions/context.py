"""What an expression may read that no variable holds: the moment, the time zone, and facts about the requester.

In the values that an expression is evaluated with, it stands under names that no variable can have.
"""

from __future__ import annotations

from placet.expressions.types import INT, STRING, Type, list_of, object_of

NOW = "$now"  # the moment at which the node was entered: a datetime in UTC
ZONE = "$zone"  # the process's time zone (placet.expressions.time_zones.Offsets); without it, UTC
REQUESTER = "$requester"  # a mapping, of the fields below
NAMES = (NOW, REQUESTER)

REQUESTER_WORD = "requester"
_OPTIONAL_STRING = Type(kind="string", optional=True)
REQUESTER_TYPE = object_of(
    {
        "id": STRING,
        "department": _OPTIONAL_STRING,
        "manager": _OPTIONAL_STRING,  # their id
        "managers": INT,  # how many there are above them
        "groups": list_of(STRING),
        "roles": list_of(STRING),
    }
)
