"""Blueprints by version: read once and kept, since a published version never changes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from placet.definition.model import ProcessDefinition, amount_variable, parse_or_none
from placet.definition.steps import AttachmentSettings, Step
from placet.definition.variables import Variable
from placet.definition.variables.shapes import read
from placet.proofs.values.process_variables import process_variables
from storage.queries.definitions import definitions

_MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A blueprint, and the variable that holds the amount of its requests, if one does."""

    id: str
    definition: ProcessDefinition | None  # None where it cannot be read any more
    amount: str | None
    set_by_process: frozenset[str] = frozenset()  # of the declared variables

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The declared variables; none where the blueprint cannot be read."""
        return self.definition.variables if self.definition is not None else ()

    @property
    def asked(self) -> tuple[Variable, ...]:
        """The variables that a requester is asked for."""
        return tuple(variable for variable in self.variables if variable.name not in self.set_by_process)

    def asked_of(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return of an input what the requester is asked for, and what the process adds to it."""
        names = {variable.name for variable in self.asked}
        return (
            {name: value for name, value in given.items() if name in names},
            {name: value for name, value in given.items() if name not in names},
        )

    def settled(self, given: Mapping[str, Any], written: Iterable[str] = ()) -> dict[str, Any]:
        """Return an input without the defaults of variables that a node has yet to set: they say nothing yet.

        `written` are those that a node has set.
        """
        unset = self.set_by_process - frozenset(written)
        usual = {
            one.name: read(one, one.default, "", [])
            for one in self.variables
            if one.name in unset and one.default is not None
        }
        return {name: value for name, value in given.items() if name not in usual or value != usual[name]}

    @property
    def attachments(self) -> AttachmentSettings:
        """Which files requests may have."""
        return self.definition.settings.attachments if self.definition is not None else AttachmentSettings(max_files=0)

    def step(self, stage: str) -> Step | None:
        """Return the stage of that name."""
        steps = self.definition.process_steps if self.definition is not None else ()
        return next((step for step in steps if step.stage_name == stage), None)


class Versions:
    """The parsed blueprints of this process of Placet, the most recently used ones."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Version] = OrderedDict()

    def all_of(self, connection: Connection, template_ids: Iterable[str]) -> dict[str, Version]:
        """Return these versions."""
        return {one: self.of(connection, one) for one in dict.fromkeys(template_ids)}

    def of(self, connection: Connection, template_id: str) -> Version:
        """Return a version; raises NotFound."""
        if template_id in self._known:
            self._known.move_to_end(template_id)
            return self._known[template_id]
        row = definitions.get(connection, template_id)
        definition = parse_or_none(row.blueprint)
        found = Version(
            id=row.id,
            definition=definition,
            amount=amount_variable(row.blueprint),
            set_by_process=frozenset() if definition is None else process_variables(definition),
        )
        if row.status != "draft":
            self._known[template_id] = found
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return found
