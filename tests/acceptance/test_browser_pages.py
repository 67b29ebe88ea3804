"""Every page that there is, by the table of who may open which: looked at by somebody who may, wide and on a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.acceptance.test_browser_links import links_in, mail_about
from tests.acceptance.test_browser_signing import SIGNED
from tests.acceptance.test_browser_simulations import LONG, ordered, published
from tests.browser import Visitors, started
from tests.contract import Placet, open_tasks
from tests.event_logs import CSV_MAP, as_csv, expense_rows
from tests.page_looks import look_at
from tests.raw_codes import raw_codes
from tests.waiting import poll
from web.access import PAGES, PUBLIC

PAGES_TO_READ = {page.removeprefix("GET "): rule for page, rule in PAGES.items() if page.startswith("GET ")}
# What is no page of its own, and why.
NO_PAGES = {
    "/live": "events for the script of the inbox, which never end",
    "/live/rows": "rows that the script puts into the inbox; they are looked at there",
    "/live/forecasts": "lines that the script puts into lists; they are looked at there",
    "/requests/{request_id}/people": "proposals of people for the script of a conversation",
    "/simulations/{simulation_id}/events": "events for the script of a simulation",
    "/requests/{request_id}/process.svg": "the drawing as a file; it is looked at on its page",
    "/processes/{template_id}/process.svg": "as above",
    "/evidence/{pack_id}/file": "an archive",
    "/operations/people/{person_id}/export": "an archive",
    "/drafts/{draft_id}/export": "a file",
    "/sign/{step_up_id}/log-in": "leads on to the identity provider",
    "/login/oidc": "leads on to the identity provider",
    "/login/oidc/callback": "leads on from the identity provider",
    "/login/{code}": "leads on to the inbox",
}
# Who looks, where not somebody of the most modest access that the rule names.
BY = {
    "/tasks": "max",
    "/sign": "max",
    "/breaches": "olivia",
    "/canaries": "olivia",
    "/simulations/{simulation_id}/requests": "olivia",
}
MODEST = (("requester", "rita"), ("designer", "olivia"), ("auditor", "aud"), ("admin", "ada"))


def who(path: str, rule: frozenset[str]) -> str | None:
    """Return who looks at a page; None: somebody who is not logged in."""
    if rule is PUBLIC:
        return None
    chosen = next((person for begin, person in BY.items() if path.startswith(f"{begin}/")), None)
    return chosen or next(person for access, person in MODEST if access in rule)


@pytest.fixture(scope="module")
def seeded(placet: Placet) -> Iterator[dict[str, str]]:
    """Give a value for each parameter of a path, and the addresses of pages that need something else."""
    template_name, template = published(placet)
    request = started(placet, LONG)
    (task,) = open_tasks(request).values()
    placet.post("max", f"requests/{request['id']}/comments/", {"text": LONG})
    placet.post("max", f"requests/{request['id']}/questions/", {"text": "How many?"})
    ended = started(placet, f"{LONG} decided")
    (decided,) = open_tasks(ended).values()
    placet.decide("max", decided, comment=LONG)
    returned = started(placet, f"{LONG} returned")
    (back,) = open_tasks(returned).values()
    placet.decide("max", back, "request_changes", comment=LONG)
    past = placet.start(template_name, given={"amount": "10"}, title=LONG)
    placet.decide("max", past["tasks"][0]["id"])
    explored = ordered(placet, "rita", {"mode": "explore", "template": template_name, "input": {"amount": "9000"}})
    branch = f"simulation:{explored}:branch"
    tested = ordered(placet, "olivia", {"mode": "backtest", "template": template_name})
    content = placet.process({"stage_name": LONG[:80], "approvers": ["user:max"]})
    draft = placet.post("olivia", "blueprint-drafts/", {"content": content}, expect=201)["id"]
    other = placet.process({"stage_name": "Manager", "approvers": ["user:max"]})
    done = placet.post("olivia", "blueprint-drafts/", {"content": other}, expect=201)["id"]
    placet.post("olivia", f"blueprint-drafts/{done}/publish/", {})
    slower = [{"op": "replace", "path": "/process_steps/0/sla_hours", "value": 96}]
    change = {"template": template_name, "title": LONG[:200], "description": LONG, "patch": slower}
    suggestion = placet.post("olivia", "workflow-suggestions/", change, expect=201)["id"]
    fast = {"name": LONG[:200], "template": template_name, "target_duration_seconds": 0.1}
    sla = placet.post("olivia", "workflow-slas/", fast, expect=201)["id"]
    placet.start(template_name, given={"amount": "10"}, title=LONG)
    breaches = f"sla-breaches/?sla_id={sla}"
    breach = poll(lambda: placet.get("ada", breaches)["items"], what="that an SLA is breached")[0]["id"]
    log = imported_log(placet)
    newer = placet.process({"stage_name": "Manager", "approvers": ["user:max"]})
    placet.publish(newer)
    placet.post("olivia", "process-templates/", {**newer, "version": "1.1.0", "description": LONG}, expect=201)
    share = {"template": newer["name"], "version": "1.1.0", "share": 0.5, "margins": {"outcome": 0.1}, "notes": LONG}
    canary = placet.post("ada", "workflow-canaries/", share, expect=201)["id"]
    action = placet.get("ada", "action-catalog/?limit=1")["items"][0]["id"]
    # Nothing is sent to it: no request of these tests fails.
    hook = {"url": f"https://8.8.8.8/{LONG.replace(' ', '-')[:150]}", "description": LONG, "events": ["failed"]}
    hook_id = placet.post("ada", "webhooks/", hook, expect=201)["id"]
    token = {who: placet.send(who, "GET", "auth/tokens/?limit=1").json()["items"][0]["id"] for who in ("ada", "rita")}
    started(placet, "A link to look at")
    link = urlsplit(links_in(placet, mail_about(placet, "A link to look at"))["Approve"])
    yield {
        "template_id": template,
        "request_id": request["id"],
        "task_id": task,
        "simulation_id": explored,
        "branch_id": "branch-1",
        "draft_id": draft,
        "suggestion_id": suggestion,
        "sla_id": sla,
        "breach_id": breach,
        "log_id": log,
        "canary_id": canary,
        "identity": "action_catalog",
        "pk": action,
        "webhook_id": hook_id,
        "person_id": "max",
        "token_id": token["ada"],
        "/me/tokens/{token_id}": f"/me/tokens/{token['rita']}",
        "/tasks/{task_id}/receipt": f"/tasks/{decided}/receipt",
        "/requests/{request_id}/edit": f"/requests/{returned['id']}/edit",
        "/simulations/{simulation_id}/requests/{request_id}": f"/simulations/{tested}/requests/{past['id']}",
        "/simulations/compare": f"/simulations/compare?left={branch}-1&right={branch}-2",
        "/drafts/{draft_id}/move": f"/drafts/{done}/move",
        "/decide": f"{link.path}?{link.query}",
        "/operations/webhooks/{webhook_id}/replay": f"/operations/webhooks/{hook_id}/replay?since=2026-01-01T00:00",
    }
    placet.send("ada", "DELETE", f"workflow/webhooks/{hook_id}/")


def test_every_page_that_is_named_here_is_one() -> None:
    assert NO_PAGES.keys() <= PAGES_TO_READ.keys()
    assert all(NO_PAGES.values())


def test_every_page_is_whole_to_the_eye_to_the_keyboard_and_to_a_screen_reader(
    placet: Placet, visit: Visitors, seeded: dict[str, str]
) -> None:
    found: list[str] = []
    visitors: dict[str | None, Any] = {}
    values = dict(seeded)
    for path, rule in PAGES_TO_READ.items():
        if path in NO_PAGES:
            continue
        person = who(path, rule)
        if person not in visitors:
            visitors[person] = visit(person) if person else visit.stranger()
        visitor = visitors[person]
        if path == "/sign/{step_up_id}":
            values["step_up_id"] = signing(placet, visitor)
        unknown = set(re.findall(r"{(\w+)}", path)) - values.keys()
        assert path in values or not unknown, f"say in `seeded` what {unknown} is, or in NO_PAGES why {path} is no page"
        address = visitor.base + values.get(path, path.format_map(values))
        answer = visitor.page.goto(address)
        assert answer is not None
        if answer.status != 200:
            found.append(f"{path} for {person}: {answer.status} {visitor.page.title()}")
            continue
        found += look_at(visitor, path)
        if path.startswith("/admin/"):  # shows what is stored as it is stored
            continue
        german = visitor.page.context.request.get(address, headers={"Accept-Language": "de"}).text()
        found += [f"{path} shows the code {code!r}, which needs words" for code in raw_codes(german)]
    assert found == [], "\n".join(found)


def test_a_page_that_is_not_there_is_whole_as_well(visit: Visitors) -> None:
    for visitor in (visit("max"), visit.stranger()):
        visitor.go("/nowhere")
        assert look_at(visitor, "/nowhere") == []


BAD = """<html><head><style>html, body { margin: 0 } :focus { outline: none }</style></head><body>
<h1>One</h1><h1>Two</h1><p style="color: #bbb; background: #fff">Pale</p><div style="width: 2000px">Wide</div>
<input><button id="trap">Trap</button><a href="/after">After it</a>
<script>document.querySelector("#trap").addEventListener("keydown", event => event.preventDefault())</script>
</body></html>"""


def test_what_is_wrong_with_a_page_is_seen(visit: Visitors) -> None:
    visitor = visit.stranger()
    visitor.page.set_content(BAD)
    found = "\n".join(look_at(visitor, "bad"))
    for said in (
        "2 headings",
        "no title",
        "no language",
        "scrolls sideways at 360",
        "color-contrast",
        "bad at 1400: label",
        'Tab does not reach <a href="/after">',
        'the focus is not seen on <button id="trap">',
    ):
        assert said in found, found
    shown = (
        "<p>Zugang: requester, approver</p><dd>task_opened</dd><code>escalated</code><option value=open>Offen</option>"
    )
    assert raw_codes(shown) == ["approver", "requester", "task_opened"]


def imported_log(placet: Placet) -> str:
    """Import an event log, and return what its page is called by."""
    answer = placet.http.post(
        f"{placet.where['api']}/api/v1/workflow/event-logs",
        files={"file": ("expenses.csv", as_csv(expense_rows(60)), "text/csv")},
        data={"name": LONG[:200], "map": json.dumps(CSV_MAP | {"attributes": ["amount"]})},
        headers={"Authorization": f"Bearer {placet.tokens['olivia']}"},
    )
    assert answer.status_code == 201, answer.text
    log = str(answer.json()["id"])

    def read() -> bool:
        return bool(placet.get("olivia", f"event-logs/{log}/")["status"] == "completed")

    poll(read, what="that the log was read")
    return log


def signing(placet: Placet, visitor: Any) -> str:
    """Begin to sign a decision, and return what its page is called by."""
    (task,) = open_tasks(started(placet, LONG, SIGNED)).values()
    page = visitor.go(f"/tasks/{task}")
    page.get_by_label("What your signature means").select_option("I reviewed the invoice")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.wait_for_url("**/sign/*")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return str(page.url.rpartition("/")[2])
