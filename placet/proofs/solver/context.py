"""The world as unknowns of the solver: the moment at which a node is entered, and the facts about the requester."""

from __future__ import annotations

from placet.definition.shapes import Shape
from placet.definition.variables import Variable
from placet.expressions.context import NOW, REQUESTER

_TEXT = Shape(type="string", required=True, min_length=1, max_length=200)
_PERHAPS = Shape(type="string", min_length=1, max_length=200)
_NAMES = Shape(type="list", required=True, items=Shape(type="string"), max_length=200)

# Their names are none that a blueprint can declare; what is unknown of them is declared as of any variable.
VARIABLES: tuple[Variable, ...] = (
    Variable.model_construct(name=NOW, type="datetime", required=True),
    Variable.model_construct(
        name=REQUESTER,
        type="object",
        required=True,
        properties={
            "id": _TEXT,
            "department": _PERHAPS,
            "manager": _PERHAPS,
            "managers": Shape(type="integer", required=True, minimum=0, maximum=32),
            "groups": _NAMES,
            "roles": _NAMES,
        },
    ),
)
