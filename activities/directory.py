"""The activity that reads people, managers, roles, groups and absences as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.messages import Found, LookUp
from placet.directory import Directory
from placet.who import parse_who
from storage import people as stored
from storage.database import Database


class DirectoryReader:
    """Read the directory for a worker; nothing is kept, so an edit is seen at once, whoever made it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="look_up")
    async def look_up(self, question: LookUp) -> Found:
        """Answer with everyone whom the question can reach; raises Unavailable where the database is away."""
        async with self._database.session() as session:
            directory = await directory_for(session, question.names, question.people, question.given)
            return Found(directory=directory, at=question.at)


async def directory_for(
    session: AsyncSession, names: Iterable[str], people: Iterable[str], given: Mapping[str, object]
) -> Directory:
    """Read the directory for names (placet.who), people by id, and the people that the input `given` names."""
    return await stored.directory_for(session, [parse_who(name) for name in names], also=people, given=given)
