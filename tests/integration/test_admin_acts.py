"""Administrative acts: every way in that changes something outside of requests leaves its act, in one chain."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, text
from typer.testing import CliRunner

from api.access import RULES
from api.routes.examples import EXPENSE_APPROVAL
from api.schemas.actions import _EXAMPLE as BOOK
from api.scim.routes import PREFIX, router
from cli.main import COMMANDS, app
from placet.audit.admin_acts import KINDS, Act, ActedBy
from service.administration.acts import write_with_act
from storage.database import Database
from storage.queries.identity import sessions
from storage.queries.identity.sessions import NewSession
from storage.recording import admin_acts
from storage.recording.admin_acts import Chosen
from storage.tables.admin_acts import AdminAct
from storage.tables.notifications import NotificationMessage
from storage.tables.slas import SlaBreach
from tests.api_desk import ApiDesk, api_desk, no_engine
from tests.integration.test_api_bpmn import DECISION
from tests.pages import browser_of
from web.access import PAGES
from worker.catalog import seed_catalog

PATH = "/workflow/admin-acts/"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADAM = ActedBy(actor="user:adam", actor_type="person", way="api")
A_KEY = Act(kind="key_rotated", target="key:1", detail={"before": "0"})

# Why a way in that changes something leaves no administrative act.
ON_A_REQUEST = "it changes one request, whose own chain has it"
ONES_OWN = "it changes nothing but what is the caller's own, such as how they read"
NOTHING = "it computes an answer, and stores nothing that anybody else uses"
SEPARATE = "it runs on an engine: test_api_moving"

# Every route that changes something: the kinds of acts that it leaves, or why it leaves none.
ROUTES: dict[str, set[str] | str] = {
    "POST /workflow/process-templates/": {"version_created"},
    "POST /workflow/process-templates/import_blueprint/": {"version_created"},
    "POST /workflow/process-templates/import_bpmn/": {"version_created"},
    "POST /workflow/process-templates/import_dmn/": {"version_created"},
    "POST /workflow/process-templates/check/": NOTHING,
    "POST /workflow/process-templates/draft/": "it needs a language model: test_drafting",
    "PUT /workflow/process-templates/{template_id}/": {"version_changed"},
    "POST /workflow/process-templates/{template_id}/publish/": {"version_published"},
    "POST /workflow/process-templates/{template_id}/deprecate/": {"version_deprecated"},
    "POST /workflow/process-templates/{template_id}/migrate/": SEPARATE,
    "POST /workflow/blueprint-drafts/": {"draft_created"},
    "POST /workflow/blueprint-drafts/import/": {"draft_created"},
    "PUT /workflow/blueprint-drafts/{draft_id}/": {"draft_saved"},
    "POST /workflow/blueprint-drafts/{draft_id}/explore/": NOTHING,
    "POST /workflow/blueprint-drafts/{draft_id}/rehearse/": NOTHING,
    "POST /workflow/blueprint-drafts/{draft_id}/submit/": {"draft_submitted", "version_created"},
    "POST /workflow/blueprint-drafts/{draft_id}/publish/": {"draft_published", "version_published"},
    "POST /workflow/blueprint-drafts/{draft_id}/reopen/": {"draft_reopened"},
    "POST /workflow/blueprint-drafts/{draft_id}/discard/": {"draft_discarded"},
    "POST /workflow/event-logs/": "it takes a file: test_api_event_logs",
    "DELETE /workflow/event-logs/{log_id}/": "it needs a log that was imported: test_api_event_logs",
    "POST /workflow/event-logs/{log_id}/suggest/": NOTHING,
    "POST /workflow/event-logs/{log_id}/forecasts/": NOTHING,
    "POST /workflow/event-logs/{log_id}/backtest/": NOTHING,
    "POST /codec/decode": NOTHING,
    "POST /workflow/retention-rules/": {"retention_set"},
    "DELETE /workflow/retention-rules/{rule_id}/": {"retention_removed"},
    "POST /workflow/workflow-suggestions/": {"suggestion_added"},
    "POST /workflow/workflow-suggestions/generate/": "it needs a past: test_api_suggestions",
    "POST /workflow/workflow-suggestions/{suggestion_id}/accept/": {"suggestion_accepted", "version_created"},
    "POST /workflow/workflow-suggestions/{suggestion_id}/reject/": {"suggestion_rejected"},
    "POST /workflow/workflow-canaries/": {"canary_begun", "version_published"},
    "POST /workflow/workflow-canaries/{canary_id}/promote/": {"canary_promoted"},
    "POST /workflow/workflow-canaries/{canary_id}/revert/": {"canary_reverted", "version_deprecated"},
    "POST /workflow/evidence-packs/": {"evidence_ordered"},
    "POST /workflow/people/": {"person_added"},
    "PUT /workflow/people/{person_id}/": {"person_changed"},
    "PUT /workflow/people/me/preferences/": ONES_OWN,
    "POST /workflow/action-catalog/": {"action_added"},
    "PUT /workflow/action-catalog/{action}/": {"action_changed"},
    "POST /workflow/workflow-slas/": {"sla_added"},
    "PUT /workflow/workflow-slas/{sla_id}/": {"sla_changed"},
    "DELETE /workflow/workflow-slas/{sla_id}/": {"sla_removed"},
    "POST /workflow/sla-breaches/{breach_id}/acknowledge/": {"sla_breach_acknowledged"},
    "POST /workflow/workflow-simulations/": NOTHING,
    "POST /workflow/workflow-simulations/{simulation_id}/cancel/": ONES_OWN,
    "PUT /workflow/notification-templates/{name}/": {"notification_template_changed"},
    "POST /workflow/notification-templates/{name}/preview/": NOTHING,
    "POST /workflow/notifications/{key}/resend/": {"messages_resent"},
    "POST /workflow/webhooks/": {"webhook_added"},
    "DELETE /workflow/webhooks/{webhook_id}/": {"webhook_removed"},
    "DELETE /workflow/people/{person_id}/sessions/": {"sessions_ended"},
    "POST /workflow/people/{person_id}/erasure/": {"person_erased"},
    "POST /authzen/evaluation": ON_A_REQUEST,
    "POST /authzen/requests": ON_A_REQUEST,
    "POST /authzen/requests/{task_id}/cancel": ON_A_REQUEST,
    "POST /workflow/chat-links/": {"chat_linked"},
    "DELETE /workflow/chat-links/{link_id}/": {"chat_unlinked"},
    "POST /workflow/webhooks/{webhook_id}/switch/": {"webhook_changed"},
    "POST /workflow/webhooks/{webhook_id}/secret/": {"webhook_changed"},
    "POST /workflow/webhooks/{webhook_id}/replay/": {"webhook_replayed"},
    "DELETE /workflow/api-tokens/{token_id}/": {"token_revoked"},
    "POST /auth/tokens/": {"token_made"},
    "DELETE /auth/tokens/{token_id}/": {"token_revoked"},
}
OF_REQUESTS = ("/workflow/requests/", "/workflow/tasks/")

# Every page that takes a form, likewise; those that call the use case of a route leave that route's acts.
FORMS: dict[str, set[str] | str] = {
    "POST /views": ONES_OWN,
    "POST /views/{view_id}": ONES_OWN,
    "POST /operations/webhooks": {"webhook_added"},
    "POST /operations/webhooks/{webhook_id}/switch": {"webhook_changed"},
    "POST /operations/webhooks/{webhook_id}/secret": {"webhook_changed"},
    "POST /operations/webhooks/{webhook_id}/remove": {"webhook_removed"},
    "POST /operations/webhooks/{webhook_id}/deliveries": {"messages_resent"},
    "POST /operations/webhooks/{webhook_id}/replay": {"webhook_replayed"},
    "POST /operations/people/{person_id}/away": {"person_changed"},
    "POST /operations/people/{person_id}/edit": {"person_changed"},
    "POST /operations/people/{person_id}/sessions": {"sessions_ended"},
    "POST /operations/people/{person_id}/erase": {"person_erased"},
    "POST /operations/tokens/{token_id}": {"token_revoked"},
    "POST /operations/retention": {"retention_set", "retention_removed"},
    "POST /admin/{identity}/edit/{pk}": {"action_changed"},
    "POST /suggestions": {"suggestions_generated"},
    "POST /suggestions/{suggestion_id}/accept": {"suggestion_accepted", "version_created", "draft_created"},
    "POST /suggestions/{suggestion_id}/reject": {"suggestion_rejected"},
    "POST /suggestions/{suggestion_id}/draft": {"draft_created"},
    "POST /canaries": {"canary_begun", "version_published"},
    "POST /canaries/{canary_id}/promote": {"canary_promoted"},
    "POST /canaries/{canary_id}/revert": {"canary_reverted", "version_deprecated"},
    "POST /evidence": {"evidence_ordered"},
    "POST /event-logs": "it takes a file: test_web_event_logs",
    "POST /event-logs/{log_id}/suggest": NOTHING,
    "POST /event-logs/{log_id}/draft": "it needs a log that was imported: test_web_event_logs",
    "POST /event-logs/{log_id}/remove": "it needs a log that was imported: test_web_event_logs",
    "POST /slas": {"sla_added"},
    "POST /slas/{sla_id}/edit": {"sla_changed"},
    "POST /slas/{sla_id}/switch": {"sla_changed"},
    "POST /slas/{sla_id}/remove": {"sla_removed"},
    "POST /breaches/{breach_id}/acknowledge": {"sla_breach_acknowledged"},
    "POST /operations/deliveries": {"messages_resent"},
    "POST /operations/requests": {"requests_cancelled", "requests_extended", "tasks_reassigned"},
    "POST /simulations/new/{template_id}": NOTHING,
    "POST /simulations/{simulation_id}/cancel": ONES_OWN,
    "POST /sign/{step_up_id}": ON_A_REQUEST,
    "POST /drafts": {"draft_created"},
    "POST /drafts/{draft_id}": {"draft_saved", "draft_discarded"},
    "POST /drafts/{draft_id}/try": NOTHING,
    "POST /drafts/{draft_id}/publish": {"draft_submitted", "draft_reopened", "draft_published", "version_published"},
    "POST /drafts/{draft_id}/move": {"requests_moved"},
    "POST /me/passkeys": ONES_OWN,
    "POST /me/passkeys/{passkey_id}": ONES_OWN,
    "POST /me/sessions": ONES_OWN,
    "POST /me/sessions/{session_id}": ONES_OWN,
    "POST /me/tokens/{token_id}": {"token_revoked"},
    "POST /me/away": ONES_OWN,
    "POST /me/reading": ONES_OWN,
    "POST /me/notices": ONES_OWN,
    "POST /decide": ON_A_REQUEST,
    "POST /decide/undo": ON_A_REQUEST,
    "POST /login": ONES_OWN,
    "POST /login/oidc/logout": ONES_OWN,
    "POST /logout": ONES_OWN,
    "POST /logout/everywhere": ONES_OWN,
}

# Every route of SCIM that changes something.
SCIM: dict[str, set[str]] = {
    "POST /Users": {"person_added", "person_changed"},  # and then what the provider calls them
    "PUT /Users/{user_id}": {"person_changed"},
    "PATCH /Users/{user_id}": {"person_changed"},
    "DELETE /Users/{user_id}": {"person_changed"},
    "POST /Groups": {"group_changed"},
    "PUT /Groups/{group_id}": {"group_changed"},
    "PATCH /Groups/{group_id}": {"group_changed"},
    "DELETE /Groups/{group_id}": {"group_removed"},
}

# Every command.
PROCESS = "it runs processes of the installation, and changes nothing that people administer"
READS = "it reads"
COMMANDS_THAT_CHANGE: dict[str, set[str] | str] = {
    "up": PROCESS,
    "worker": PROCESS,
    "api": PROCESS,
    "engine": PROCESS,
    "prepare": PROCESS,
    "migrate": PROCESS,
    "deployments": PROCESS,
    "demo": "its installation is thrown away",
    "people": {"people_loaded", "person_exported", "person_erased"},
    "token": {"token_made"},
    "tokens": {"token_revoked"},
    "login": {"login_link_made"},
    "keys": {"key_rotated"},
    "evidence": {"evidence_ordered"},
    "suggest": "it needs a past: test_api_suggestions",
    "canaries": "it needs two versions: test_canaries",
    "costs": NOTHING,
    "draft": "it needs a language model: test_drafting",
    "import-log": "it takes a file: test_api_event_logs",
    "forecast-log": READS,
    "backtest-log": READS,
    "verify": READS,
    "check": READS,
    "import-bpmn": READS,
    "import-dmn": READS,
    "simulate": READS,
    "init": "it writes a folder, and knows no installation: test_init",
    "test": READS,
    "doctor": READS,
    "backup": READS,
    "restore": "it puts back what was, with the acts until then: test_backup",
    "ask": "it calls the API, which records its calls: test_client_ask",
    "mcp": "it calls the API, which records its calls: test_mcp",
    "openapi": READS,
}


@pytest_asyncio.fixture
async def desk(database: Database) -> AsyncIterator[ApiDesk]:
    async with api_desk(database, await no_engine(), seconds=1) as opened:
        yield opened


async def acts_of(desk: ApiDesk, query: str = "") -> list[dict[str, Any]]:
    answer = await desk.get(f"{PATH}?limit=500{query}", as_="audrey")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


class Watch:
    """Which acts there are since the last look, oldest first."""

    def __init__(self, desk: ApiDesk) -> None:
        self.desk = desk
        self.seen = 0

    async def new(self) -> list[dict[str, Any]]:
        found = [act for act in await acts_of(self.desk) if act["seq"] > self.seen][::-1]
        self.seen = found[-1]["seq"] if found else self.seen
        return found

    async def leaves(self, answer: httpx.Response, kinds: set[str] | str, way: str = "api") -> list[dict[str, Any]]:
        """Require that a call was carried out and left exactly these kinds of acts; return them."""
        assert answer.is_success, answer.text
        acts = await self.new()
        assert {act["kind"] for act in acts} == kinds
        assert {(act["actor"][:5], act["actor_type"], act["way"]) for act in acts} == {("user:", "person", way)}
        return acts


def test_every_route_that_changes_something_leaves_an_act_or_says_why_not() -> None:
    changing = {route for route in RULES if not route.startswith("GET ")}
    administer = {route for route in changing if not route.split()[1].startswith(OF_REQUESTS)}
    assert ROUTES.keys() == administer
    assert {kind for kinds in ROUTES.values() if isinstance(kinds, set) for kind in kinds} <= KINDS


def test_every_page_that_takes_a_form_leaves_an_act_or_says_why_not() -> None:
    taking = {page for page in PAGES if page.startswith("POST ")}
    administer = {page for page in taking if not page.split()[1].startswith(("/requests/", "/tasks/"))}
    assert FORMS.keys() == administer
    assert {kind for kinds in FORMS.values() if isinstance(kinds, set) for kind in kinds} <= KINDS


def test_every_command_leaves_an_act_or_says_why_not() -> None:
    assert COMMANDS_THAT_CHANGE.keys() == {command.name for command in COMMANDS}


def test_every_route_of_scim_that_changes_something_leaves_an_act() -> None:
    changing = {
        f"{method} {route.path.removeprefix(PREFIX)}"  # type: ignore[attr-defined]  # all are APIRoute
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]  # as above
        if method != "GET"
    }
    assert SCIM.keys() == changing


def put_breach(connection: Connection) -> None:
    """Store a breach of an SLA."""
    row = SlaBreach(
        id="br_1",
        sla_id="sla_1",
        sla_name="Fast",
        template="Expense approval",
        request_id="r1",
        visit=1,
        severity="warning",
        target_duration_seconds=60,
        threshold_seconds=60,
        actual_duration_seconds=90,
        breached_at=NOW,
        recorded_at=NOW,
    )
    connection.execute(insert(SlaBreach), [row.model_dump()])


async def test_each_route_leaves_the_acts_that_it_says(desk: ApiDesk) -> None:
    watch, left = Watch(desk), set()

    async def leaves(route: str, *names: str, body: Any = None, as_: str = "adam") -> dict[str, Any]:
        method, path = route.split()
        for name in names:
            path = re.sub(r"\{\w+\}", name, path, count=1)
        answer = await desk.call(method, path, as_=as_, body=body)
        acts = await watch.leaves(answer, ROUTES[route])
        assert {act["actor"] for act in acts} == {f"user:{as_}"}
        left.add(route)
        return dict(answer.json())

    await seed_catalog(desk.database)
    templates, drafts = "/workflow/process-templates/", "/workflow/blueprint-drafts/"
    named = {**deepcopy(EXPENSE_APPROVAL), "name": "Travel"}
    version = await leaves(f"POST {templates}", body=named, as_="desi")
    await leaves(f"PUT {templates}{{template_id}}/", version["id"], body={**named, "owner": "user:bob"})
    await leaves(f"POST {templates}{{template_id}}/publish/", version["id"], as_="desi")
    await leaves(f"POST {templates}{{template_id}}/deprecate/", version["id"])
    await leaves(f"POST {templates}import_blueprint/", body={**named, "name": "Trips"})
    bpmn = (Path(__file__).parents[1] / "bench" / "one-step.bpmn").read_text()
    await leaves(f"POST {templates}import_bpmn/", body={"bpmn": bpmn, "name": "From BPMN"})
    await leaves(f"POST {templates}import_dmn/", body={"dmn": DECISION, "name": "From DMN"})

    draft = await leaves(f"POST {drafts}", body={"content": {**named, "name": "Drafted"}})
    changed = {**named, "name": "Drafted", "owner": "user:carl"}
    await leaves(f"PUT {drafts}{{draft_id}}/", draft["id"], body={"revision": 1, "content": changed}, as_="desi")
    await leaves(f"POST {drafts}{{draft_id}}/submit/", draft["id"])
    await leaves(f"POST {drafts}{{draft_id}}/reopen/", draft["id"])
    assert (await desk.post(f"{drafts}{draft['id']}/submit/", as_="adam")).is_success
    assert {act["kind"] for act in await watch.new()} == {"draft_submitted"}
    await leaves(f"POST {drafts}{{draft_id}}/publish/", draft["id"])
    other = await leaves(f"POST {drafts}import/", body={"blueprint": {**named, "name": "Imported"}})
    await leaves(f"POST {drafts}{{draft_id}}/discard/", other["draft"]["id"])

    pack = {
        "process": "Drafted",
        "from": "2026-01-01T00:00:00Z",
        "until": "2026-04-01T00:00:00Z",
        "sample": 1,
        "seed": "x",
    }
    await leaves("POST /workflow/evidence-packs/", body=pack, as_="audrey")
    suggestion = "/workflow/workflow-suggestions/"
    patch = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 12}]
    body = {"template": "Drafted", "title": "Faster", "patch": patch}
    for review in ("accept", "reject"):
        made = await leaves(f"POST {suggestion}", body=body, as_="desi")
        await leaves(f"POST {suggestion}{{suggestion_id}}/{review}/", made["id"])
    canary, share = "/workflow/workflow-canaries/", {"template": "Drafted", "share": 0.5, "margins": {"outcome": 0.1}}
    for number, ending in (("1.2.0", "promote"), ("1.3.0", "revert")):
        newer = {**changed, "version": number, "description": number}
        assert (await desk.post(templates, newer, as_="desi")).is_success
        await watch.new()
        begun = await leaves(f"POST {canary}", body={**share, "version": number}, as_="desi")
        await leaves(f"POST {canary}{{canary_id}}/{ending}/", begun["id"])
    await leaves("POST /workflow/people/", body={"id": "mia", "access": ["admin"]})
    await leaves("PUT /workflow/people/{person_id}/", "mia", body={"name": "Mia"})
    member = {"service": "slack", "workspace": "T1", "member": "U1", "person": "mia"}
    linked = await leaves("POST /workflow/chat-links/", body=member)
    await leaves("DELETE /workflow/chat-links/{link_id}/", linked["id"])
    await leaves("POST /workflow/action-catalog/", body=BOOK)
    await leaves("PUT /workflow/action-catalog/{action}/", BOOK["name"], body={**BOOK, "latency_class": "slow"})
    words = {"subject": "New: {{ request.title }}", "text": "Hello", "html": "<p>Hello</p>"}
    await leaves("PUT /workflow/notification-templates/{name}/", "task_opened", body=words)
    restored = await desk.call("PUT", "/workflow/notification-templates/task_opened/", as_="adam", body={"restore": 0})
    await watch.leaves(restored, {"notification_template_restored"})
    process = await desk.publish()
    await watch.new()
    fast = {"name": "Fast", "template": process, "target_duration_seconds": 60}
    sla = await leaves("POST /workflow/workflow-slas/", body=fast)
    await leaves("PUT /workflow/workflow-slas/{sla_id}/", sla["id"], body={**fast, "target_duration_seconds": 90})
    await leaves("DELETE /workflow/workflow-slas/{sla_id}/", sla["id"])
    rule = await leaves("POST /workflow/retention-rules/", body={"template": process, "content_days": 30})
    await leaves("DELETE /workflow/retention-rules/{rule_id}/", rule["id"])
    await desk.database.write(put_breach)
    await leaves("POST /workflow/sla-breaches/{breach_id}/acknowledge/", "br_1", body={})
    hook = await leaves("POST /workflow/webhooks/", body={"url": "https://93.184.216.34/hook"})
    await leaves("POST /workflow/webhooks/{webhook_id}/switch/", hook["id"], body={"active": False})
    await leaves("POST /workflow/webhooks/{webhook_id}/secret/", hook["id"], body={})
    assert (await desk.post(f"/workflow/webhooks/{hook['id']}/switch/", {"active": True}, as_="adam")).is_success
    assert [act["detail"] for act in await watch.new()] == [{"active": True}]
    await desk.database.write(put_failed_message, f"webhook:{hook['id']}")
    span = {"since": "2026-03-01T00:00:00Z", "until": "2026-03-03T00:00:00Z"}
    await leaves("POST /workflow/webhooks/{webhook_id}/replay/", hook["id"], body=span)
    await leaves("DELETE /workflow/webhooks/{webhook_id}/", hook["id"])
    await desk.database.write(put_failed_message, "mail")
    await leaves("POST /workflow/notifications/{key}/resend/", "n1", body={})
    token = await leaves("POST /auth/tokens/", body={"name": "robot", "scopes": ["requester"]}, as_="ann")
    await leaves("DELETE /auth/tokens/{token_id}/", token["id"], as_="ann")
    other_token = (await desk.post("/auth/tokens/", {"name": "robot"}, as_="ann")).json()["id"]
    await desk.database.write(open_a_session)
    await watch.new()
    await leaves("DELETE /workflow/api-tokens/{token_id}/", other_token)
    await leaves("DELETE /workflow/people/{person_id}/sessions/", "ann")
    await leaves("POST /workflow/people/{person_id}/erasure/", "mia", body={"person": "mia"})
    assert left == {route for route, kinds in ROUTES.items() if isinstance(kinds, set)}

    acts = await acts_of(desk)
    assert (await desk.database.read(admin_acts.verify)) == {
        "ok": True,
        "acts": len(acts),
        "head": acts[0]["hash"],
        "first_bad_seq": None,
    }


async def test_no_secret_and_no_name_is_in_any_act(desk: ApiDesk) -> None:
    made = await desk.post("/auth/tokens/", {"name": "my robot"}, as_="ann")
    hook = await desk.post("/workflow/webhooks/", {"url": "https://93.184.216.34/secret-path"}, as_="adam")
    body = {"id": "mia", "name": "Mia Manager", "email": "mia@example.com", "manager": "bob", "roles": ["cfo"]}
    await desk.post("/workflow/people/", body, as_="adam")
    await desk.call("PUT", "/workflow/people/mia/", as_="adam", body={**body, "name": "Mia Meier", "roles": []})
    acts = await acts_of(desk)
    assert len(acts) == 4
    told = json.dumps(acts)
    for secret in (made.json()["token"], hook.json()["secret"], "secret-path", "Manager", "Meier", "@example", "robot"):
        assert secret not in told
    assert acts[0]["detail"] == {"changed": ["name", "roles"], "roles": {"before": ["cfo"], "after": []}}


async def test_what_changes_nothing_or_is_refused_leaves_no_act(desk: ApiDesk) -> None:
    body = {"id": "mia", "manager": "bob"}
    assert (await desk.post("/workflow/people/", body, as_="adam")).status_code == 201
    assert len(await acts_of(desk)) == 1
    assert (await desk.post("/workflow/people/", body, as_="adam")).status_code == 409
    assert (await desk.post("/workflow/people/", {"id": "pia"}, as_="ann")).status_code == 403
    assert (await desk.call("PUT", "/workflow/people/mia/", as_="adam", body=body)).status_code == 200  # the same again
    away = {"away": {"from": "2100-01-01T00:00:00Z", "until": "2100-02-01T00:00:00Z", "substitute": "bob"}}
    assert (await desk.call("PUT", "/workflow/people/me/", as_="ann", body=away)).status_code == 200  # one's own affair
    repeat = [
        await desk.post("/workflow/webhooks/", {"url": "https://93.184.216.34/"}, as_="adam", key="k") for _ in "12"
    ]
    assert {answer.status_code for answer in repeat} == {201}
    assert [act["kind"] for act in await acts_of(desk)] == ["webhook_added", "person_added"]


async def test_what_scim_provisions_is_on_record_as_such(desk: ApiDesk) -> None:
    made = await desk.post("/auth/tokens/", {"scopes": ["scim"]}, as_="adam")
    watch, left = Watch(desk), set()
    await watch.new()

    async def leaves(route: str, name: str = "", body: Any = None) -> dict[str, Any]:
        method, path = route.split()
        headers = {"Authorization": f"Bearer {made.json()['token']}", "Content-Type": "application/scim+json"}
        path = re.sub(r"\{\w+\}", name, path)
        answer = await desk.http.request(method, f"{PREFIX}{path}", json=body, headers=headers)
        acts = await watch.leaves(answer, SCIM[route], way="scim")
        assert {act["actor"] for act in acts} == {"user:adam"}
        left.add(route)
        return dict(answer.json()) if answer.content else {}

    user = {"userName": "mia", "externalId": "4711", "displayName": "Mia", "active": True}
    await leaves("POST /Users", body=user)
    await leaves("PUT /Users/{user_id}", "mia", {**user, "displayName": "Mia M."})
    patch = {"Operations": [{"op": "replace", "path": "displayName", "value": "M. M."}]}
    await leaves("PATCH /Users/{user_id}", "mia", patch)
    await leaves("DELETE /Users/{user_id}", "mia")
    group = await leaves("POST /Groups", body={"displayName": "buyers", "members": [{"value": "ann"}]})
    both = {"displayName": "buyers", "members": [{"value": "ann"}, {"value": "bob"}]}
    await leaves("PUT /Groups/{group_id}", group["id"], both)
    less = {"Operations": [{"op": "remove", "path": 'members[value eq "ann"]'}]}
    await leaves("PATCH /Groups/{group_id}", group["id"], less)
    await leaves("DELETE /Groups/{group_id}", group["id"])
    assert left == SCIM.keys()
    told = [act["detail"] for act in (await acts_of(desk, "&kind=group_changed"))[::-1]]
    assert [(act["added"], act["removed"]) for act in told] == [(["ann"], []), (["bob"], []), ([], ["ann"])]


async def test_the_list_is_paged_and_filtered_by_actor_kind_and_period(desk: ApiDesk) -> None:
    for person in ("mia", "pia"):
        await desk.post("/workflow/people/", {"id": person}, as_="adam")
    await desk.post("/auth/tokens/", {}, as_="ann")
    first = (await desk.get(f"{PATH}?limit=2", as_="adam")).json()
    rest = (await desk.get(f"{PATH}?limit=2&cursor={first['next_cursor']}", as_="adam")).json()
    assert [act["seq"] for act in [*first["items"], *rest["items"]]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    assert [act["target"] for act in await acts_of(desk, "&actor=user:adam")] == ["person:pia", "person:mia"]
    assert [act["actor"] for act in await acts_of(desk, "&kind=token_made")] == ["user:ann"]
    assert await acts_of(desk, "&since=2100-01-01T00:00:00Z") == []
    assert len(await acts_of(desk, "&until=2100-01-01T00:00:00Z")) == 3
    assert (await desk.get(f"{PATH}?cursor=x", as_="adam")).status_code == 422


async def test_an_act_is_there_exactly_where_its_change_is(database: Database) -> None:
    def change(connection: Connection, *, fail: bool) -> None:
        connection.execute(text("CREATE TABLE change_of_a_test (id integer)"))
        if fail:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_with_act(database, ADAM, NOW, A_KEY, change, fail=True)
    unknown = Act(kind="made_up", target="x")
    with pytest.raises(ValueError, match="made_up"):
        await write_with_act(database, ADAM, NOW, unknown, change, fail=False)
    assert (await database.read(admin_acts.verify))["acts"] == 0
    await write_with_act(database, ADAM, NOW, A_KEY, change, fail=False)  # so it was not there yet
    assert (await database.read(admin_acts.verify))["acts"] == 1
    # The next test may be given the same database, with empty tables.
    await database.write(lambda connection: connection.execute(text("DROP TABLE change_of_a_test")))


async def test_acts_at_the_same_time_are_one_chain(database: Database) -> None:
    await asyncio.gather(*(database.write(admin_acts.record, ADAM, A_KEY, NOW) for _ in range(40)))
    found = await database.read(admin_acts.verify)
    assert (found["ok"], found["acts"]) == (True, 40)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE admin_act SET actor = 'user:eve' WHERE seq = 2",
        "UPDATE admin_act SET actor_type = 'service' WHERE seq = 2",
        "UPDATE admin_act SET kind = 'token_made' WHERE seq = 2",
        "UPDATE admin_act SET way = 'page' WHERE seq = 2",
        "UPDATE admin_act SET target = 'key:2' WHERE seq = 2",
        "UPDATE admin_act SET outcome = 'nothing' WHERE seq = 2",
        'UPDATE admin_act SET detail = \'{"before": "1"}\' WHERE seq = 2',
        "UPDATE admin_act SET detail = 'NO OBJECT' WHERE seq = 2",
        "UPDATE admin_act SET at = '2026-03-02 09:00:00.000001' WHERE seq = 2",
        "UPDATE admin_act SET hash = 'x' WHERE seq = 2",
        "DELETE FROM admin_act WHERE seq = 2",
    ],
)
async def test_an_edited_act_is_found(database: Database, edit: str) -> None:
    # PostgreSQL stores only JSON there, of any kind; SQLite any text.
    no_object = {"sqlite": "no JSON", "postgresql": '["no object"]'}[database.dialect]
    for _ in range(3):
        await database.write(admin_acts.record, ADAM, A_KEY, NOW)
    assert (await database.read(admin_acts.verify))["ok"]
    await database.write(lambda connection: connection.exec_driver_sql(edit.replace("NO OBJECT", no_object)))
    found = await database.read(admin_acts.verify)
    assert (found["ok"], found["first_bad_seq"]) == (False, 2)


async def test_a_long_chain_is_verified_in_parts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_acts, "_AT_ONCE", 2)
    for _ in range(5):
        await database.write(admin_acts.record, ADAM, A_KEY, NOW)
    assert (await database.read(admin_acts.verify))["acts"] == 5
    await database.write(lambda connection: connection.exec_driver_sql("UPDATE admin_act SET way = 'x' WHERE seq = 5"))
    assert (await database.read(admin_acts.verify))["first_bad_seq"] == 5


def test_each_command_leaves_the_acts_that_it_says(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACET_DATABASE_URL", sqlite_url)
    process = asyncio.run(published(sqlite_url))
    left: dict[str, set[str]] = {}

    def call(*arguments: str) -> str:
        before = len(asyncio.run(stored(sqlite_url)))
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        acts = asyncio.run(stored(sqlite_url))[before:]
        assert {(act.actor, act.actor_type, act.way) for act in acts} <= {("operator", "operator", "command line")}
        left.setdefault(arguments[0], set()).update(act.kind for act in acts)
        return result.stdout

    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps([{"id": "mia", "access": ["admin"]}, {"id": "pia"}]))
    second.write_text(json.dumps([{"id": "mia", "access": ["auditor"]}]))
    call("people", "load", str(first))
    call("people", "load", str(second), "--without-admin")
    call("people", "load", str(second), "--complete", "--without-admin")
    loaded = [act.detail for act in asyncio.run(stored(sqlite_url)) if act.kind == "people_loaded"]
    assert loaded[0]["changed"] == ["mia", "pia"]
    assert loaded[1]["access"] == {"mia": {"before": ["admin"], "after": ["auditor"]}}
    assert "pia" in loaded[2]["left"]
    call("people", "export", "mia", "--out", str(tmp_path / "mia.zip"))
    call("people", "erase", "pia", "--confirm", "pia")
    call("token", "mia", "--name", "laptop")
    call("tokens", "revoke", json.loads(call("tokens", "list", "mia", "--json"))[0]["id"])
    call("login", "mia")
    call("keys", "rotate")
    period = ("--from", "2026-01-01", "--until", "2026-02-01", "--seed", "s")
    call("evidence", process, *period, "--out", str(tmp_path / "pack.zip"))
    assert left == {name: kinds for name, kinds in COMMANDS_THAT_CHANGE.items() if isinstance(kinds, set)}


def test_verify_names_the_act_that_does_not_hold(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACET_DATABASE_URL", sqlite_url)
    asyncio.run(published(sqlite_url))
    well = CliRunner().invoke(app, ["verify", "--json"])
    assert (well.exit_code, json.loads(well.stdout)["admin_acts"]["acts"]) == (0, 2)
    asyncio.run(changed(sqlite_url, "UPDATE admin_act SET actor = 'user:eve' WHERE seq = 2"))
    broken = CliRunner().invoke(app, ["verify"])
    assert broken.exit_code == 1
    assert "act 2 was changed after it was recorded" in " ".join(broken.stdout.split())
    told = json.loads(CliRunner().invoke(app, ["verify", "--json"]).stdout)
    assert (told["ok"], told["admin_acts"]["first_bad_seq"]) == (False, 2)


async def published(url: str) -> str:
    """Publish a process in this database, and return its name."""
    database = Database(url)
    async with api_desk(database, await no_engine(), seconds=1) as desk:
        name = await desk.publish()
    await database.close()
    return name


async def stored(url: str) -> list[AdminAct]:
    """Return all acts in this database, oldest first."""
    database = Database(url)
    page = await database.read(admin_acts.page, limit=500, cursor=None, chosen=Chosen())
    await database.close()
    return list(page.items)[::-1]


async def changed(url: str, statement: str) -> None:
    """Edit this database."""
    database = Database(url)
    await database.write(lambda connection: connection.exec_driver_sql(statement))
    await database.close()


def put_failed_message(connection: Connection, channel: str) -> None:
    """Store a message that could not be delivered."""
    row = NotificationMessage(
        key=f"n1{channel.removeprefix('mail')}",
        channel=channel,
        request_id="r1",
        seq=1,
        hash="",
        event="task_opened",
        person="bob",
        status="failed",
        created_at=NOW,
        next_attempt_at=NOW,
        finished_at=NOW,
    )
    connection.execute(insert(NotificationMessage).values(**row.model_dump()))


def open_a_session(connection: Connection) -> None:
    """Log Ann in."""
    opened = NewSession(person="ann", method="token", expires_at=datetime.now(UTC) + timedelta(days=1), user_agent="")
    sessions.open_session(connection, opened, datetime.now(UTC))


async def test_the_page_shows_acts_in_words_to_auditors_and_keeps_its_filter(desk: ApiDesk) -> None:
    for number in range(51):
        await desk.database.write(admin_acts.record, ADAM, replace(A_KEY, target=f"key:{number}"), NOW)
    await desk.post("/workflow/people/", {"id": "mia", "name": "Mia <b>Meier</b>"}, as_="adam")
    auditor = await browser_of(desk, "audrey")
    page = (await auditor.get("/operations/acts")).text
    assert "Person added" in page
    assert "Mia &lt;b&gt;Meier" in page
    assert "Adam" in page
    found = (await auditor.get("/operations/acts?kind=key_rotated&actor=adam&since=2026-03-02&until=2026-03-02")).text
    assert "Person added</strong>" not in found
    assert found.count("Key of receipts rotated</strong>") == 50
    following = re.search(r'rel="next" href="([^"]+)"', found)
    assert following is not None
    rest = (await auditor.get(unescape(following[1]))).text
    assert rest.count("Key of receipts rotated</strong>") == 1
    assert 'value="adam"' in rest
    for wrong in ("cursor=x", "since=never&until=9999-12-31", "kind=made_up", "actor=%00"):
        assert (await auditor.get(f"/operations/acts?{wrong}")).status_code == 200
    assert "Nothing matches" in (await auditor.get("/operations/acts?actor=nobody")).text
    assert (await (await browser_of(desk, "ann")).get("/operations/acts")).status_code == 403
