"""Members of chats who are people here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from placet.errors import Conflict, NotFound
from placet.sentences import sentence
from storage.database import of_rows
from storage.tables.chat import ChatLink


def person_of(connection: Connection, *, service: str, workspace: str, member: str) -> str | None:
    """Return the id of the person whom a member of a chat was linked to; None where there is no link."""
    query = select(col(ChatLink.person)).where(*_of(service, workspace, member))
    return connection.execute(query).scalar_one_or_none()


def add(connection: Connection, link: ChatLink) -> bool:
    """Store a link; False where it is there already. Raises Conflict where the member is somebody else."""
    known = person_of(connection, service=link.service, workspace=link.workspace, member=link.member)
    if known is not None and known != link.person:
        raise Conflict(
            sentence("This member is linked to user:{person} already; remove that link first.", person=known)
        )
    if known is None:
        connection.execute(insert(ChatLink).values(**link.model_dump()))
    return known is None


def remove(connection: Connection, link_id: str) -> ChatLink:
    """Delete a link and return it; raises NotFound."""
    link = get(connection, link_id)
    connection.execute(delete(ChatLink).where(col(ChatLink.id) == link_id))
    return link


@of_rows
def get(session: Session, link_id: str) -> ChatLink:
    """Return one link; raises NotFound."""
    link = session.get(ChatLink, link_id)
    if link is None:
        raise NotFound(sentence("There is no link {link_id!r} to a member of a chat", link_id=link_id))
    return link


@of_rows
def listed(session: Session, *, after: str | None, limit: int) -> Sequence[ChatLink]:
    """Return links by their id, those behind `after`, and one more than `limit`."""
    query = select(ChatLink).order_by(col(ChatLink.id)).limit(limit + 1)
    return list(session.scalars(query if after is None else query.where(col(ChatLink.id) > after)))


def _of(service: str, workspace: str, member: str) -> tuple[ColumnElement[bool], ...]:
    return col(ChatLink.service) == service, col(ChatLink.workspace) == workspace, col(ChatLink.member) == member
