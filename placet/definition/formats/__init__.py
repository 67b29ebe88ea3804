"""Formats: the version numbers of everything that is stored or sent.

Three numbers, for three questions:

- `format` of a blueprint, its plan and its requests: what the language means. Format 1 is what was written before there
  were numbers. Format 2: a change of the request voids the approvals that it had (`on_change: "restart"`). A blueprint
  without a number is of the current format. What was stored before is given its number by the migration that brings a
  new format (storage/migrations), so that it keeps its meaning.
- `rules` of a plan and its requests: the core's own rules, whatever the blueprint's format.
- `stored_format` of a plan and a state: which fields its JSON has. placet.definition.formats.upgrades brings an older
  one up to date as it is read, so that no other code has to handle older forms.

A request follows the format and the rules that it began under to its end, for its history has to replay to the entries
that are stored. Whatever depends on them asks a property of Rules, and is in no other way of two minds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

OnChange = Literal["restart", "stage"]

CURRENT: Final = 2
# 1: before there were numbers. 2: nobody operates their own request. 3: the directory is asked anew when a task is
# claimed or decided, a quorum counts those who are missing, and a decision says on whose behalf it is. 4: the seat that
# a substitute fills stays that of whoever is away, and is theirs again with the end of the absence, so that their own
# approvals carry to it; whoever stands in for a delegate decides for them; nothing changes hands while the request is
# returned. 5: entries say who was passed over when people were chosen, and why. 6: agents decide nothing.
RULES: Final = 6
# 1: before there were numbers. 2: as the first requests of format 2 were written. 3: with whom a queue is, whom a
# quorum is of, and how many tasks there were.
STORED: Final = 3
# What a change of the request does to approvals where a blueprint does not say so itself, by format.
ON_CHANGE: Final[dict[int, OnChange]] = {1: "stage", 2: "restart"}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that a request began under: its `format`, the core's `rules`, and whether content is sealed."""

    format: int
    rules: int
    sealed: bool  # entries hold codes, and content as commitments (placet.audit.sealed); times are history's own

    @property
    def records_revisions(self) -> bool:
        """Entries say which revision they are about, and what a change changed."""
        return self.format >= 2

    @property
    def counts_rounds_by_stage(self) -> bool:
        """A task is of the round of its stage, not of the request's."""
        return self.format >= 2

    @property
    def counts_visits_of_approvals(self) -> bool:
        """An approval is asked a bounded number of times."""
        return self.format >= 2

    @property
    def bounds_refused_signals(self) -> bool:
        """Only the first of very many refused signals are put on record."""
        return self.format >= 2

    @property
    def requires_needed_values(self) -> bool:
        """An event that leaves out what the way on needs is refused."""
        return self.format >= 2

    @property
    def requires_words_in_comments(self) -> bool:
        """A comment has to have visible text."""
        return self.format >= 2

    @property
    def forbids_operating_ones_own(self) -> bool:
        """Nobody operates their own request, whatever their roles are."""
        return self.rules >= 2

    @property
    def rereads_queues(self) -> bool:
        """The people of a queue are those whom the directory names when it is looked at or claimed from."""
        return self.rules >= 3

    @property
    def knows_substitutes(self) -> bool:
        """The substitute of somebody who is away may decide, and a decision says on whose behalf it is."""
        return self.rules >= 3

    @property
    def counts_missing_seats(self) -> bool:
        """A quorum counts all approvers who were named, also missing ones, and the entry says who is missing."""
        return self.rules >= 3

    @property
    def reassigns_seats_of_leavers(self) -> bool:
        """The seat of somebody who left before their turn is reassigned like their task."""
        return self.rules >= 3

    @property
    def records_choice_among_several(self) -> bool:
        """The entry of an escalation to several people says that it chose one of them."""
        return self.rules >= 3

    @property
    def keeps_seats_of_the_absent(self) -> bool:
        """The seat that a substitute fills stays that of whoever is away, and is theirs again when they are back."""
        return self.rules >= 4

    @property
    def substitutes_only_for_claimants(self) -> bool:
        """In a queue, a member who could not claim the task has no substitute either."""
        return self.rules >= 4

    @property
    def seats_people_before_queues(self) -> bool:
        """Whoever a stage names has their seat before its queues are asked who may claim."""
        return self.rules >= 4

    @property
    def lets_stand_in_for_delegates(self) -> bool:
        """Whoever stands in for a delegate may decide for them, and an escalation adds who is named, away or not."""
        return self.rules >= 4

    @property
    def holds_tasks_while_returned(self) -> bool:
        """No task changes hands while the requester changes the request."""
        return self.rules >= 4

    @property
    def records_directory_of_refusals(self) -> bool:
        """A directory that was read for an event is recorded even if the event is then refused."""
        return self.rules >= 4

    @property
    def keeps_agents_from_deciding(self) -> bool:
        """An agent decides nothing, and gives no task to anybody."""
        return self.rules >= 6

    @property
    def records_choices(self) -> bool:
        """Entries say by which name a person was chosen, and who was passed over and why, in codes."""
        return self.rules >= 5 and self.sealed


@lru_cache(maxsize=64)
def rules_of(format: int, rules: int, *, sealed: bool) -> Rules:  # noqa: A002 - as it is stored
    """Return the one value of what a request follows."""
    return Rules(format, rules, sealed)
