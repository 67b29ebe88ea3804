"""Eligibility: who may fill a seat.

Separation of duties holds here, in one place, for every way a task can reach a person: nobody ever decides their own
request, and one person fills at most one seat of a stage.
"""

from __future__ import annotations

from collections.abc import Iterable

from placet.audit.reasons import Reason, because
from placet.engine.run import Run
from placet.engine.state import Vote, counts, vote_of
from placet.plan.graph import Stage
from placet.tasks.candidates import is_owner


def ineligible_reason(run: Run, person: str, stage: Stage, node: str, taken: set[str]) -> Reason | None:
    """Return why a person may not fill a seat, in words that follow their name; None where they may."""
    if person == run.state.requester:
        return because("own_request")
    if is_excluded_principal(run, person, stage):
        return because("own_agent")
    if person in taken:
        return because("has_seat")
    found = run.directory.get(person)
    if found is None:
        return because("not_there")
    if not found.approver and not is_owner(run, person):
        return because("no_access")
    if stage.repeat == "forbid" and decided_elsewhere(run, person, node):
        return because("decided_elsewhere")
    return None


def is_excluded_principal(run: Run, person: str, stage: Stage) -> bool:
    """Say whether the agent that asked acts for this person, and the stage forbids that they decide."""
    return stage.agent_principal == "forbid" and person == run.state.principal


def decided_elsewhere(run: Run, person: str, node: str) -> Vote | None:
    """Return what this person approved or rejected last in another stage of the request.

    An abstention does not count, nor does what was decided on a revision that is void.
    """
    return _latest(vote for vote in _votes_elsewhere(run, person, node) if counts(vote.decision) != "nobody")


def approved_elsewhere(run: Run, person: str, node: str) -> Vote | None:
    """Return this person's approval in another stage, where it is their last word there: they have not abstained since.

    What was decided on a revision that is void does not count, nor does what may still be undone.
    """
    last = _latest(_votes_elsewhere(run, person, node, standing=True))
    return last if last is not None and counts(last.decision) == "for" else None


def _votes_elsewhere(run: Run, person: str, node: str, *, standing: bool = False) -> list[Vote]:
    """List a person's votes in other stages: the last one in each, for no others are kept of very many tasks."""
    decided = (task for task in run.tasks.values() if not (standing and task.provisional))
    cast = (vote for task in decided if (vote := vote_of(task)) is not None)
    last: dict[str, Vote] = {}
    for vote in (*run.votes, *cast):
        if vote.person == person and vote.node != node and vote.revision >= run.state.material:
            last.pop(vote.node, None)
            last[vote.node] = vote
    return list(last.values())


def _latest(votes: Iterable[Vote]) -> Vote | None:
    return max(reversed(list(votes)), key=lambda vote: vote.at, default=None)
