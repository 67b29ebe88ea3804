"""Choices: who is considered where people are chosen, who is chosen by which name, and who is passed over and why.

People are chosen when a stage opens, when the turn of a seat comes, when a task escalates, and when its person cannot
have it any more. What a choice notes goes into the entry of that, so that it can be told later why somebody is asked,
and why somebody else is not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from placet.audit.reasons import Reason, because
from placet.definition.assignees import parse_assignee
from placet.engine.run import Run
from placet.plan.graph import Stage
from placet.tasks.substitution import Assignment, consider

# Of those whom a choice passed over, so many stand in its entry with their reasons; the others are counted by reason.
MOST_LISTED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """Somebody who was passed over: by which name they were considered, and why they were not chosen.

    Where the name stands for nobody, there is no person.
    """

    person: str | None
    name: str
    why: Reason


class Choice:
    """One choice of people for a stage or for one of its tasks."""

    def __init__(self, run: Run, stage: Stage, node: str) -> None:
        self._run, self._stage, self._node = run, stage, node
        self._passed: dict[str, PassedOver] = {}  # by person, the first reason; and by name where it stands for nobody
        self.chosen: dict[str, str] = {}  # the name that each person was chosen by

    def ask(self, person: str, name: str, *, via: str, taken: set[str], but: str | None = None) -> Assignment | None:
        """Choose a person whom `name` stands for, or who stands in for them; None where neither may have the seat.

        `but` is who has the task already.
        """
        considered = consider(self._run, person, self._stage, self._node, via=via, taken=taken)
        for one, why in considered.passed_over:
            self.pass_over(one, name, why)
        found = considered.found
        if found is not None and found.person == but:
            self.pass_over(found.person, name, because("has_task"))
            return None
        if found is not None:
            self.chosen.setdefault(found.person, name)
        return found

    def pass_over(self, person: str, name: str, why: Reason) -> None:
        """Note that somebody is not chosen; the first reason counts, and none for whoever is chosen all the same."""
        if person == self._run.state.requester:
            why = because("own_request")  # whatever else keeps them from it
        if person not in self._passed:
            self._passed[person] = PassedOver(person=person, name=name, why=why)

    def stands_for_nobody(self, name: str) -> None:
        """Note that nobody has a name at present."""
        self._passed.setdefault(f"={name}", PassedOver(person=None, name=name, why=because("stage_names_nobody")))

    @property
    def passed_over(self) -> list[PassedOver]:
        """List those who were considered and not chosen, in the order in which they were considered."""
        return [one for one in self._passed.values() if one.person not in self.chosen]

    @property
    def facts(self) -> dict[str, Any] | None:
        """Return what an entry says of the choice; None under rules that do not record it.

        Where they are too many for one entry, people whom the process names one by one come first.
        """
        if not self._run.rules.records_choices:
            return None
        passed = self.passed_over
        if len(passed) > MOST_LISTED:
            passed.sort(key=lambda one: not parse_assignee(one.name).single)
        listed = [
            {"name": one.name, "why": one.why} | ({"person": f"user:{one.person}"} if one.person else {})
            for one in passed[:MOST_LISTED]
        ]
        people = len(self.chosen) + sum(1 for one in passed if one.person is not None)
        facts: dict[str, Any] = {"considered": people}
        if listed:
            facts["passed_over"] = listed
        if unlisted := Counter(one.why.code for one in passed[MOST_LISTED:]):
            facts["unlisted"] = dict(sorted(unlisted.items()))
        return facts

    def told_of(self, person: str) -> dict[str, Any]:
        """Return what the entry says by which a task goes to a person: the name, and the choice."""
        facts = self.facts
        return {} if facts is None else {"chosen_by": self.chosen.get(person), "choice": facts}

    def name_beside(self, assignment: Assignment) -> str | None:
        """Return the name that a person was chosen by, where the way in which the task came to them does not say it."""
        name = self.chosen.get(assignment.person)
        return None if name is None or assignment.via in {name, "approver"} else name
