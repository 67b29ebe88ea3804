"""The activity that reads people, managers, roles, groups and absences as they are now."""

from __future__ import annotations

from temporalio import activity

from activities.due_moment import wait_until
from activities.messages import DirectoryQuery, DirectoryResult, DueMoment
from placet.definition.assignees import parse_assignee
from storage.database import Database
from storage.queries.people.people import read_directory


class DirectoryReader:
    """Read the directory for a worker. Nothing is cached, so every edit is visible at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="look_up")
    async def look_up(self, question: DirectoryQuery) -> DirectoryResult:
        """Return everyone whom the named approvers can refer to; raises Unavailable without a database."""
        at = question.at if question.due is None else await wait_until(DueMoment(at=question.at, due=question.due))
        names = [parse_assignee(name) for name in question.names]
        directory = await self._database.read(
            read_directory, names, also=question.people, given=question.given, loads=question.loads
        )
        return DirectoryResult(directory=directory, at=at)
