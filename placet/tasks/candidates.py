"""Candidates: the people whom a name stands for now, in the order in which they are asked or notified.

Whether they may fill a seat is asked afterwards, by placet.tasks.eligibility.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from placet.definition.assignees import AssigneeName, parse_assignee, people_in
from placet.directory import Directory
from placet.engine.run import ADMINS, Run
from placet.engine.state import Seat
from placet.plan.graph import Stage


def resolve(run: Run, who: AssigneeName, *, assignee: str | None = None) -> list[str]:
    """Return the ids of the people whom a name stands for now, in a fixed order, without checking whether they are
    eligible.
    """
    return _resolve(run, run.directory, who, assignee)


def owners(run: Run) -> list[str]:
    """Return the process owners to notify, by the directory as it was last read."""
    return _resolve(run, run.state.directory, parse_assignee("owner"), None)


def is_owner(run: Run, person: str) -> bool:
    """Say whether this person is the process owner (one of them, where a role or a group owns the process)."""
    if run.plan.owner is None:
        return False
    who = parse_assignee(run.plan.owner)
    return who.name == person if who.kind == "user" else person in resolve(run, who)


def operators(run: Run) -> list[str]:
    """Return whom to notify of a problem that only an operator can solve: the owners who can, else the admins as well.

    Nobody operates their own request, so an owner who asked for it is none of them.
    """
    directory = run.state.directory
    people = [person for person in owners(run) if person != run.state.requester]
    there = [p for p in people if directory.get(p) is not None and directory.absence(p, run.now) is None]
    return people if there else [*people, ADMINS]


def nearest(run: Run, people: list[str], to: str | None) -> list[str]:
    """Order people by their distance above `to` in the management chain; the others follow by id.

    Where several hold a role (three department heads), the one above the person concerned is meant.
    """
    chain = run.directory.managers(to) if to and len(people) > 1 else []
    return sorted(people, key=lambda p: (chain.index(p) if p in chain else len(chain), p))


def successors(run: Run, stage: Stage, leaver: str | None, delegates: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield who may take the seat of somebody who has left, in order and by which name, whether the seat's turn has
    come or not.
    """
    for one in delegates:
        yield one, f"user:{one}"
    if leaver is not None:
        yield from managers_by_name(run, leaver)
    for person, _, name in replacements(run, stage):
        yield person, name


def managers_by_name(run: Run, person: str) -> Iterator[tuple[str, str]]:
    """Yield the managers above a person, nearest first, each with the name that stands for them."""
    below = person
    for manager in run.directory.managers(person):
        yield manager, f"manager_of(user:{below})"
        below = manager


def replacements(run: Run, stage: Stage) -> Iterator[tuple[str, str, str]]:
    """Yield who may replace approvers who are missing, how they come to it, and by which name.

    These are the people of the escalation, then the process owner.
    """
    for level in stage.levels:
        if level.action == "notify":
            continue
        targets = nearest(run, resolve(run, parse_assignee(level.to)), run.state.requester)
        for person in targets:
            yield person, "escalation", str(parse_assignee(level.to))
        if stage.to_the_top and targets:
            for person, name in managers_by_name(run, targets[0]):
                yield person, "escalation", name
    for person in resolve(run, parse_assignee("owner")):
        yield person, "owner", "owner"


def queue_of(seat: Seat) -> str | None:
    """Return the role or group whose queue a seat is; None for other seats, and for a queue of listed people."""
    return seat.via if seat.candidates and parse_assignee(seat.via).kind in {"role", "group"} else None


def _resolve(run: Run, directory: Directory, who: AssigneeName, assignee: str | None) -> list[str]:
    kind = who.kind
    if kind == "user":
        return [who.name]
    if kind == "role":
        return directory.holders(who.name)
    if kind == "group":
        return directory.members(who.name)
    if kind == "requester":
        return [run.state.requester]
    if kind == "owner":  # the plan holds no owner that is named after the owner
        return _resolve(run, directory, parse_assignee(run.plan.owner), assignee) if run.plan.owner else []
    if kind == "assignee":
        return [assignee] if assignee else []
    if who.given:
        return people_in(run.state.input.get(who.name))
    below = _resolve(run, directory, who.of, assignee) if who.of else []
    found = directory.people.get(below[0]) if below else None
    return [found.manager] if found is not None and found.manager else []
