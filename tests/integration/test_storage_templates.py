"""Versions of blueprints, API tokens and idempotent calls as they are stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from placet.errors import Conflict, NotFound
from storage.database import Database
from storage.queries import api_calls
from storage.queries.definitions import definitions
from storage.queries.identity import tokens
from storage.queries.people import people
from storage.tables.approvals import DefinitionVersion, StoredPerson
from tests.integration.recordings import NOW
from tests.stored import reading, writing


def _template(ident: str, version: str, *, name: str = "Expense", status: str = "published") -> DefinitionVersion:
    return DefinitionVersion(
        id=ident,
        name=name,
        version=version,
        template_type="approval",
        status=status,
        digest="",
        blueprint={"name": name},
        created_by="olivia",
        created_at=NOW,
    )


@pytest.mark.parametrize(
    ("versions", "newest"),
    [
        (["1.0.0", "1.10.0", "1.9.0"], "1.10.0"),  # by number, not by text
        (["2.0.0-rc.1", "1.9.9"], "2.0.0-rc.1"),  # a pre-release of a higher version
        (["2.0.0-rc.1", "2.0.0"], "2.0.0"),  # a pre-release comes before its release
        (["2.0.0-rc.2", "2.0.0-rc.10"], "2.0.0-rc.10"),
        (["1.0.0+b", "1.0.0+a"], "1.0.0+b"),  # the same precedence; the answer is settled all the same
    ],
)
async def test_newest_is_by_semantic_version(database: Database, versions: list[str], newest: str) -> None:
    with writing(database) as session:
        for number, version in enumerate(versions):
            definitions.insert(session.connection(), _template(f"t{number}", version))
        definitions.insert(session.connection(), _template("draft", "9.0.0", status="draft"))
        definitions.insert(session.connection(), _template("other", "9.0.0", name="Other"))
    with reading(database) as session:
        assert definitions.find(session.connection(), "Expense").version == newest
        assert definitions.find(session.connection(), "Expense", "9.0.0").id == "draft"


async def test_a_version_exists_once(database: Database) -> None:
    with writing(database) as session:
        definitions.insert(session.connection(), _template("a", "1.0.0"))
        with pytest.raises(Conflict, match=r"has a version 1\.0\.0 already"):
            definitions.insert(session.connection(), _template("b", "1.0.0"))
        definitions.insert(session.connection(), _template("c", "1.0.1"))  # the transaction goes on
    with reading(database) as session:
        page = definitions.page(session.connection(), limit=10)
        one = definitions.page(session.connection(), limit=1, name="Expense", status="published")
        two = definitions.page(session.connection(), limit=1, name="Expense", cursor=one.next_cursor)
    assert [t.id for t in page.items] == ["a", "c"] == [one.items[0].id, two.items[0].id]


async def test_the_life_of_a_version(database: Database) -> None:
    with writing(database) as session:
        definitions.insert(session.connection(), _template("a", "1.0.0", status="draft"))
        with pytest.raises(NotFound, match="no published"):
            definitions.find(session.connection(), "Expense")
        with pytest.raises(Conflict, match="is a draft"):
            definitions.deprecate(session.connection(), "a")
        definitions.publish(session.connection(), "a", by="olivia", now=NOW)
        again = definitions.publish(session.connection(), "a", by="mallory", now=NOW + timedelta(days=1))
        assert (again.published_by, again.published_at) == ("olivia", NOW)
        definitions.deprecate(session.connection(), "a")
        with pytest.raises(Conflict, match="is deprecated"):
            definitions.publish(session.connection(), "a", by="olivia", now=NOW)
        for asked in (definitions.get, definitions.deprecate):
            with pytest.raises(NotFound):
                asked(session.connection(), "b")


async def test_a_token_stands_for_its_person_until_it_ends(database: Database) -> None:
    with writing(database) as session:
        for name in ("bob", "gone"):
            facts = {"roles": [], "groups": [], "access": ["admin"], "away": [], "preferences": {}}
            people.put(
                session.connection(), StoredPerson(id=name, name=name, updated_at=NOW, active=name == "bob", **facts)
            )
        good = tokens.issue(session.connection(), "bob", ttl=timedelta(days=1), now=NOW)
        endless = tokens.issue(session.connection(), "bob", ttl=None, now=NOW)
        revoked = tokens.issue(session.connection(), "bob", ttl=None, now=NOW)
        left = tokens.issue(session.connection(), "gone", ttl=None, now=NOW)
        tokens.revoke(session.connection(), revoked, NOW)
        with pytest.raises(NotFound):
            tokens.issue(session.connection(), "nobody", ttl=None, now=NOW)

    async def who(text: str, after: timedelta = timedelta(0)) -> str | None:
        held = await database.read(tokens.holder, text, NOW + after)
        return held and held.person

    assert await who(good) == "bob"
    assert await who(good, timedelta(days=1)) is None
    assert await who(endless, timedelta(days=10_000)) == "bob"
    assert [await who(text) for text in (revoked, left, good[:-1], "", "\ud800")] == [None] * 5


async def test_a_key_stands_for_the_first_call_that_used_it(database: Database) -> None:
    async def reserve(principal: str, fingerprint: str, subject: str) -> tuple[str, str | None, int | None]:
        call = await database.write(
            api_calls.reserve, principal=principal, key="k", fingerprint=fingerprint, subject=subject, now=NOW
        )
        return call.fingerprint, call.subject, call.status_code

    assert await reserve("bob", "f1", "s1") == ("f1", "s1", None)
    assert await reserve("bob", "f2", "s2") == ("f1", "s1", None)
    assert await reserve("carol", "f2", "s2") == ("f2", "s2", None)
    for status in (201, 500):  # the first answer stands
        answered = api_calls.Completion(principal="bob", key="k", status_code=status, answer={"id": status})
        await database.write(api_calls.complete_all, [answered])
    assert await reserve("bob", "f1", "s3") == ("f1", "s1", 201)
