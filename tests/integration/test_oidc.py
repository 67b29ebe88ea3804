"""Logging in at a real identity provider on this machine; and JWTs with everything that can be wrong."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import OctKey, RSAKey
from structlog.testing import capture_logs

from api.http.authentication import LOOPBACK_COOKIE
from placet.errors import InputInvalid
from service.identity.settings import IdentitySettings, OidcSettings
from storage.database import Database
from tests.api_desk import BASE, STAFF, ApiDesk, api_desk, no_engine
from tests.oidc import MockProvider, OwnProvider, own_provider
from tests.pages import browser_of, csrf_token
from tests.ports import free_port
from worker.settings import read_settings

LOCAL = "http://127.0.0.1:8420"
CLIENT = "placet"
PEOPLE = (*STAFF, {"id": "erp", "actor_type": "service", "access": ["requester"]})


@dataclass
class Clock:
    """The time, moved on by the test."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Place:
    """An installation with an identity provider."""

    desk: ApiDesk
    clock: Clock

    def open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.desk.http._transport, base_url=LOCAL)

    async def me(self, browser: httpx.AsyncClient) -> Any:
        return (await browser.get(f"{BASE}/auth/me/")).json()


@pytest_asyncio.fixture(scope="module")
async def mock() -> AsyncIterator[MockProvider]:
    provider = MockProvider(free_port())
    await provider.start()
    yield provider
    provider.stop()


@pytest.fixture
def own() -> Iterator[OwnProvider]:
    with own_provider() as provider:
        yield provider


async def place(url: str, issuer: str, **settings: Any) -> AsyncIterator[Place]:
    database, clock = Database(url), Clock()
    identity = IdentitySettings(oidc=OidcSettings(issuer=issuer, client_id=CLIENT, **settings))
    async with api_desk(database, await no_engine(), seconds=0.2, identity=identity, clock=clock, staff=PEOPLE) as desk:
        yield Place(desk=desk, clock=clock)
    await database.close()


@pytest_asyncio.fixture
async def at_mock(sqlite_url: str, mock: MockProvider) -> AsyncIterator[Place]:
    async for each in place(sqlite_url, mock.issuer, client_secret="s"):
        yield each


@pytest_asyncio.fixture
async def at_own(sqlite_url: str, own: OwnProvider) -> AsyncIterator[Place]:
    async for each in place(sqlite_url, own.issuer, audience="placet"):
        yield each


async def begun(browser: httpx.AsyncClient, path: str = "/login/oidc") -> str:
    answer = await browser.get(path)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def test_a_person_logs_in_at_the_provider_and_comes_back_to_where_they_were(
    at_mock: Place, mock: MockProvider
) -> None:
    browser = at_mock.open()
    address = await begun(browser, "/login/oidc?next=/requests%3Fa%3D1")
    asked = parse_qs(urlsplit(address).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [f"{LOCAL}/login/oidc/callback"]
    assert all(asked[name][0] for name in ("state", "nonce", "code_challenge"))
    back = await browser.get(await mock.authorize(address, "ann"))
    assert (back.status_code, back.headers["location"]) == (303, "/requests?a=1")
    known = await at_mock.me(browser)
    assert (known["id"], known["access"]) == ("ann", ["approver", "requester"])


async def test_the_log_in_page_leads_to_the_provider_where_there_is_one(at_mock: Place) -> None:
    assert "/login/oidc" in (await at_mock.open().get("/login")).text


async def test_without_a_provider_there_is_none_to_go_to(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    async with api_desk(database, await no_engine(), seconds=0.2) as desk:
        browser = httpx.AsyncClient(transport=desk.http._transport, base_url=LOCAL)
        assert "/login/oidc" not in (await browser.get("/login")).text
        answer = await browser.get("/login/oidc")
        assert (answer.status_code, "one-time address" in answer.text) == (404, True)
    await database.close()


async def test_the_answer_for_another_browser_is_refused_by_a_page(at_mock: Place, mock: MockProvider) -> None:
    browser, other = at_mock.open(), at_mock.open()
    back = await mock.authorize(await begun(browser), "ann")
    await begun(other)
    for victim in (other, at_mock.open()):
        answer = await victim.get(back)
        assert (answer.status_code, "Log in again" in answer.text) == (401, True)
        assert LOOPBACK_COOKIE not in victim.cookies


async def test_the_answer_is_taken_once(at_mock: Place, mock: MockProvider) -> None:
    browser = at_mock.open()
    address = await begun(browser)
    kept = browser.cookies["placet_oidc"]
    back = await mock.authorize(address, "ann")
    assert (await browser.get(back)).status_code == 303
    assert "placet_oidc" not in browser.cookies
    assert (await browser.get(back)).status_code == 401
    stolen = await at_mock.open().get(back, headers={"Cookie": f"placet_oidc={kept}"})
    assert (stolen.status_code, "did not accept" in stolen.text) == (401, True)


async def test_who_says_no_at_the_provider_is_told_so(at_mock: Place, mock: MockProvider) -> None:
    browser = at_mock.open()
    state = parse_qs(urlsplit(await begun(browser)).query)["state"][0]
    answer = await browser.get(f"/login/oidc/callback?error=access_denied&error_description=<b>no</b>&state={state}")
    assert answer.status_code == 401
    assert "did not log you in" in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize("sub", ["stranger", "gone"])
async def test_who_is_nobody_here_is_told_what_to_do(at_mock: Place, mock: MockProvider, sub: str) -> None:
    browser = at_mock.open()
    with capture_logs() as logged:
        answer = await browser.get(await mock.authorize(await begun(browser), sub))
    assert (answer.status_code, "Ask an admin" in answer.text) == (403, True)
    assert [line["way"] for line in logged if line["event"] == "log_in_failed"] == ["identity provider"]
    assert sub in answer.text


async def test_people_are_known_by_a_claim_and_have_the_access_of_another(sqlite_url: str, mock: MockProvider) -> None:
    claims = {"client_secret": "s", "person_claim": "email", "access_claim": "roles", "access_prefix": "placet-"}
    async for there in place(sqlite_url, mock.issuer, **claims):
        await mock.claim("4711", email="Bob@example.com", email_verified=True, roles=["placet-auditor", "admin"])
        browser = there.open()
        answer = await browser.get(await mock.authorize(await begun(browser), "4711"))
        assert answer.status_code == 303, answer.text
        known = await there.me(browser)
        assert (known["id"], known["access"]) == ("bob", ["auditor"])
        await mock.claim("4712", email="bob@example.com", email_verified=False)
        browser = there.open()
        answer = await browser.get(await mock.authorize(await begun(browser), "4712"))
        assert (answer.status_code, "not verified" in answer.text) == (403, True)


async def test_a_key_that_the_provider_changed_is_fetched(at_mock: Place, mock: MockProvider) -> None:
    first = at_mock.open()
    assert (await first.get(await mock.authorize(await begun(first), "ann"))).status_code == 303
    mock.stop()
    away = at_mock.open()
    address = await begun(away)
    state = parse_qs(urlsplit(address).query)["state"][0]
    answer = await away.get(f"/login/oidc/callback?code=x&state={state}")
    assert (answer.status_code, "identity provider does not answer" in answer.text) == (503, True)
    await mock.start()
    second = at_mock.open()
    assert (await second.get(await mock.authorize(await begun(second), "ann"))).status_code == 303


async def test_the_verifier_of_pkce_is_sent_and_a_wrong_nonce_is_refused(at_own: Place, own: OwnProvider) -> None:
    browser = at_own.open()
    asked = parse_qs(urlsplit(await begun(browser)).query)
    state, nonce = asked["state"][0], asked["nonce"][0]
    own.tokens = {"id_token": own.sign(nonce="another")}
    wrong = await browser.get(f"/login/oidc/callback?code=c&state={state}")
    assert (wrong.status_code, "not accepted" in wrong.text) == (401, True)
    own.tokens = {"id_token": own.sign(nonce=nonce, iat=int(own_time()) - 3600)}
    assert "too long ago" in (await browser.get(f"/login/oidc/callback?code=c&state={state}")).text
    own.tokens = {"id_token": own.sign(nonce=nonce, aud=["placet", "other"])}
    assert "another program" in (await browser.get(f"/login/oidc/callback?code=c&state={state}")).text
    own.tokens = {"id_token": own.sign(nonce=nonce)}
    mixed_up = await browser.get(f"/login/oidc/callback?code=c&state={state}&iss=https://evil.test")
    assert (mixed_up.status_code, "another identity provider" in mixed_up.text) == (401, True)
    right = await browser.get(f"/login/oidc/callback?code=c&state={state}")
    assert right.status_code == 303, right.text
    sent = parse_qs(own.received[-1])
    assert len(sent["code_verifier"][0]) >= 43
    assert sent["client_id"] == ["placet"]


def own_time() -> float:
    return datetime.now(UTC).timestamp()


async def entered(at: Place, mock: MockProvider, sub: str = "ann") -> httpx.AsyncClient:
    browser = at.open()
    assert (await browser.get(await mock.authorize(await begun(browser), sub))).status_code == 303
    return browser


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
async def test_who_logs_out_is_led_to_the_log_out_of_the_provider_and_back(
    at_mock: Place, mock: MockProvider, path: str
) -> None:
    browser = await entered(at_mock, mock)
    left = await browser.post(path, data={"csrf_token": await csrf_token(browser)})
    assert left.status_code == 200, left.text
    assert (await browser.get(f"{BASE}/auth/me/")).status_code == 401
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', left.text)
    assert found is not None
    address = urlsplit(unescape(found[1]))
    assert address.geturl().startswith(f"{mock.issuer}/oauth2/end_session?")
    asked = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (asked["client_id"], asked["post_logout_redirect_uri"]) == (CLIENT, f"{LOCAL}/login")
    assert jwt_claims(asked["id_token_hint"])["sub"] == "ann"
    async with httpx.AsyncClient(trust_env=False) as http:
        shown = await http.get(address.geturl())
        done = await http.post(
            f"{mock.issuer}/oauth2/end_session/confirm", data={"redirect_uri": asked["post_logout_redirect_uri"]}
        )
    assert (shown.status_code, done.headers["location"]) == (200, f"{LOCAL}/login")


def jwt_claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


async def test_who_came_by_another_way_or_whose_provider_is_away_logs_out_here_alone(
    at_mock: Place, mock: MockProvider
) -> None:
    by_link = await browser_of(at_mock.desk, "ann")
    left = await by_link.post("/logout", data={"csrf_token": await csrf_token(by_link)})
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    by_provider = await entered(at_mock, mock)
    at_mock.clock.ahead = timedelta(hours=2)  # what the provider said is too old, and has to be asked for again
    mock.stop()
    left = await by_provider.post("/logout", data={"csrf_token": await csrf_token(by_provider)})
    await mock.start()
    assert left.status_code in {200, 303}  # what the provider said an hour ago may still be used
    assert (await by_provider.get(f"{BASE}/auth/me/")).status_code == 401


async def own_session(at: Place, own: OwnProvider, **claims: Any) -> httpx.AsyncClient:
    """Return a browser in which somebody has logged in at the provider of the test."""
    browser = at.open()
    asked = parse_qs(urlsplit(await begun(browser)).query)
    own.tokens = {"id_token": own.sign(nonce=asked["nonce"][0], **claims)}
    back = await browser.get(f"/login/oidc/callback?code=c&state={asked['state'][0]}")
    assert back.status_code == 303, back.text
    return browser


@pytest.mark.parametrize("endpoint", [None, 7, "http://evil.test/logout", "javascript:alert(1)"])
async def test_a_provider_without_a_safe_log_out_is_not_gone_to(at_own: Place, own: OwnProvider, endpoint: Any) -> None:
    own.metadata = {"end_session_endpoint": endpoint}
    browser = await own_session(at_own, own)
    left = await browser.post("/logout", data={"csrf_token": await csrf_token(browser)})
    assert (left.status_code, left.headers["location"]) == (303, "/login")


async def told(at: Place, token: str) -> httpx.Response:
    return await at.open().post("/login/oidc/logout", data={"logout_token": token})


LEFT: dict[str, Any] = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}


async def test_a_log_out_at_the_provider_ends_the_sessions_that_it_names(at_own: Place, own: OwnProvider) -> None:
    first, second = [await own_session(at_own, own, sid=sid) for sid in ("s1", "s2")]
    other = await own_session(at_own, own, sub="bob", sid="s1")
    by_link = await browser_of(at_own.desk, "ann")
    assert (await told(at_own, own.sign(sid="s1", **LEFT))).status_code == 200
    states = [(await one.get(f"{BASE}/auth/me/")).status_code for one in (first, second, other, by_link)]
    assert states == [401, 200, 200, 200]
    assert (await told(at_own, own.sign(sub=None, sid="s1", **LEFT))).status_code == 200
    assert (await other.get(f"{BASE}/auth/me/")).status_code == 401
    third = await own_session(at_own, own)
    assert (await told(at_own, own.sign(**LEFT))).status_code == 200
    states = [(await one.get(f"{BASE}/auth/me/")).status_code for one in (second, third, by_link)]
    assert states == [401, 401, 200]


async def test_a_logout_token_that_is_sent_again_ends_no_later_session(at_own: Place, own: OwnProvider) -> None:
    token = own.sign(**LEFT, iat=int(own_time()) - 300)
    browser = await own_session(at_own, own)
    assert (await told(at_own, token)).status_code == 200
    assert (await browser.get(f"{BASE}/auth/me/")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"events": None},
        {"events": {}},
        {"events": "http://schemas.openid.net/event/backchannel-logout"},
        {"nonce": "n"},
        {"sub": None},
        {"sub": 7},
        {"aud": "other"},
        {"iss": "https://evil.test"},
        {"exp": 1},
        {"iat": 1},
        {"iat": None},
    ],
    ids=str,
)
async def test_a_logout_token_that_is_none_ends_nothing(
    at_own: Place, own: OwnProvider, changes: dict[str, Any]
) -> None:
    browser = await own_session(at_own, own)
    answer = await told(at_own, own.sign(**{**LEFT, **changes}))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await told(at_own, "")).status_code == 400
    forged = own.sign(key=RSAKey.generate_key(2048, auto_kid=True), **LEFT)
    assert (await told(at_own, forged)).status_code == 400
    assert (await browser.get(f"{BASE}/auth/me/")).status_code == 200


async def bearer(at: Place, token: str) -> httpx.Response:
    return await at.desk.http.get(f"{BASE}/auth/me/", headers={"Authorization": f"Bearer {token}"})


async def test_a_jwt_stands_for_its_person(at_own: Place, own: OwnProvider) -> None:
    token = own.sign()
    with capture_logs() as logged:
        answer = await bearer(at_own, token)
        await bearer(at_own, token)
    assert (answer.status_code, answer.json()["id"], answer.json()["actor_type"]) == (200, "ann", "person")
    used = [(line["way"], line["person"]) for line in logged if line["event"] == "authenticated"]
    assert used == [("jwt", "ann")]


async def test_a_jwt_of_a_service_stands_for_the_service_and_never_for_a_person(
    at_own: Place, own: OwnProvider
) -> None:
    answer = await bearer(at_own, own.sign(sub=None, client_id="erp"))
    assert (answer.json()["id"], answer.json()["actor_type"]) == ("erp", "service")
    assert (await bearer(at_own, own.sign(sub=None, client_id="ann"))).status_code == 403


@pytest.mark.parametrize(
    ("claims", "access", "changes"),
    [
        ({}, ["approver", "requester"], 422),
        ({"scope": "openid profile"}, ["approver", "requester"], 422),
        ({"scope": "openid placet:requester"}, ["requester"], 422),
        ({"scp": ["placet:requester", "placet:admin"]}, ["requester"], 422),  # it adds nothing
        ({"scope": "placet:read"}, ["approver", "requester"], 403),
        ({"scope": "placet:unknown"}, None, 403),
        ({"authorization_details": [{"type": "payment"}]}, None, 403),
    ],
)
async def test_the_scopes_of_a_jwt_limit_what_it_may(
    at_own: Place, own: OwnProvider, claims: dict[str, Any], access: list[str] | None, changes: int
) -> None:
    token = own.sign(**claims)
    assert (await bearer(at_own, token)).json().get("access") == access
    headers = {"Authorization": f"Bearer {token}"}
    answer = await at_own.desk.http.post(f"{BASE}/workflow/requests/", json={}, headers=headers)
    assert answer.status_code == changes, answer.text


async def test_where_a_scope_is_required_a_jwt_without_one_is_refused(sqlite_url: str, own: OwnProvider) -> None:
    async for there in place(sqlite_url, own.issuer, audience="placet", scope_prefix="p.", scope_required=True):
        refused = await bearer(there, own.sign(scope="openid placet:read"))
        assert (refused.status_code, "p.requester" in refused.json()["detail"]) == (403, True)
        assert (await bearer(there, own.sign(scope="p.read"))).status_code == 200


# What is wrong with each token; all of it is refused.
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.test"},
        {"iss": None},
        {"aud": "other"},
        {"aud": [["placet"]]},
        {"aud": {"placet": 1}},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"exp": "tomorrow"},
    ],
    ids=str,
)
async def test_a_jwt_with_a_wrong_claim_is_refused(at_own: Place, own: OwnProvider, changes: dict[str, Any]) -> None:
    answer = await bearer(at_own, own.sign(**changes))
    assert answer.status_code == 401, answer.text
    assert "not accepted" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_jwt_that_another_key_signed_or_none_is_refused(at_own: Place, own: OwnProvider) -> None:
    other = RSAKey.generate_key(2048, auto_kid=True)
    public = own.keys[0].as_pem(private=False)
    good = own.sign()
    head, body, signature = good.split(".")
    forged = [
        own.sign(key=other),
        own.sign(key=other, header={"alg": "RS256", "kid": own.keys[0].kid}),
        own.sign(key=OctKey.import_key(public[27:91]), header={"alg": "HS256", "kid": own.keys[0].kid}),
        f"eyJhbGciOiJub25lIn0.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{body}x.{signature}",
        "ey.ey.ey",
        f"{head}.{body}." + "A" * 20_000,
    ]
    for token in forged:
        assert (await bearer(at_own, token)).status_code == 401, token[:60]


async def test_an_unknown_key_is_fetched_once_and_not_for_each_forged_token(at_own: Place, own: OwnProvider) -> None:
    assert (await bearer(at_own, own.sign())).status_code == 200
    before = own.asked.count("/jwks")
    own.rotate()
    assert (await bearer(at_own, own.sign())).status_code == 200
    assert own.asked.count("/jwks") == before + 1
    other = RSAKey.generate_key(2048, auto_kid=True)
    for _ in range(5):
        assert (await bearer(at_own, own.sign(key=other))).status_code == 401
    assert own.asked.count("/jwks") == before + 1
    own.rotate()
    at_own.clock.ahead = timedelta(seconds=31)
    assert (await bearer(at_own, own.sign())).status_code == 200


async def test_without_an_audience_no_jwt_is_taken(sqlite_url: str, own: OwnProvider) -> None:
    async for there in place(sqlite_url, own.issuer):
        assert (await bearer(there, own.sign())).status_code == 401


async def test_a_provider_that_calls_itself_otherwise_or_is_not_private_is_refused(
    sqlite_url: str, own: OwnProvider
) -> None:
    issuer = own.issuer
    own.issuer = "https://other.test"
    async for there in place(sqlite_url, issuer):
        answer = await there.open().get("/login/oidc")
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_settings_that_do_not_go_together_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_OIDC_ISSUER", "https://id.example.com")
    with pytest.raises(InputInvalid, match="PLACET_OIDC_CLIENT_ID"):
        read_settings()
    monkeypatch.setenv("PLACET_OIDC_CLIENT_ID", "placet")
    assert read_settings().identity.oidc is not None
