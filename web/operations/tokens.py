"""API tokens as their pages show them to admins: whose they are, what they may, and what is odd about them in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from storage.queries.identity.tokens import SOON, id_of
from storage.queries.people import people_listing
from storage.tables.approvals import ApiToken
from web.languages import Wording
from web.views.words import ACTOR_TYPES, marked

STATES: Final = {
    "expiring": marked("Expire soon"),
    "unused": marked("Never used"),
    "lasting": marked("Without end"),
    "expired": marked("Expired"),
}
"""What tokens a page offers to list, besides all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLine:
    """One token. `words` say what is odd about it, each with its tone."""

    id: str
    row: ApiToken
    owner: str
    kind: str
    scopes: str
    words: tuple[tuple[str, str], ...]


def token_lines(connection: Connection, rows: Sequence[ApiToken], wording: Wording) -> list[TokenLine]:
    """Return tokens as pages list them."""
    owners = people_listing.by_id(connection, sorted({row.person for row in rows}))
    found = []
    for row in rows:
        owner = owners.get(row.person)
        found.append(
            TokenLine(
                id=id_of(row.digest),
                row=row,
                owner=owner.name if owner is not None else row.person,
                kind=wording.say(ACTOR_TYPES[owner.actor_type if owner is not None else "person"]),
                scopes=", ".join(row.scopes) if row.scopes is not None else wording.say("all that its owner may"),
                words=tuple(_odd(row, wording, left=owner is None or not owner.active)),
            )
        )
    return found


def _odd(row: ApiToken, wording: Wording, *, left: bool) -> list[tuple[str, str]]:
    found = []
    if left:
        found.append((wording.say("Its owner has left"), "bad"))
    if row.expires_at is not None and row.expires_at <= wording.now:
        found.append((wording.say("Expired"), "bad"))
    elif row.expires_at is not None and row.expires_at <= wording.now + SOON:
        found.append((wording.say("Expires soon"), "warn"))
    if row.last_used_at is None:
        found.append((wording.say("Never used"), "plain"))
    return found
