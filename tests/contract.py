"""One running `placet up` as the tests of the HTTP contract use it: its people, and calls as each of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.processes import Installation, installation, known
from tests.waiting import PATIENCE

_ALWAYS = {"from": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}
ANYBODY = ("requester", "approver")
SECOND = 1 / 3600  # hours


def _person(ident: str, manager: str | None = "dana", *, away: Any = None, **more: list[str]) -> dict[str, Any]:
    lists = {"groups": [], "roles": [], "access": list(ANYBODY)} | more
    return {
        "id": ident,
        "name": ident.title(),
        "email": f"{ident}@example.com",
        "manager": manager,
        "away": away,
        **lists,
    }


PEOPLE = (
    _person("rita", "max", groups=["sales"]),
    _person("max", groups=["sales"]),
    _person("dana", "carla", roles=["department_head"]),
    _person("carla", None, roles=["cfo"]),
    _person("olivia", "carla", access=["designer"]),
    _person("ann", groups=["jury"]),
    _person("ben", groups=["jury"]),
    _person("cid", groups=["jury"]),
    _person("zoe", roles=["absent"], away=_ALWAYS | {"substitute": None}),
    _person("yan", "zoe", roles=["stood_in"], away=_ALWAYS | {"substitute": "max"}),
    _person("ada", None, access=["admin"]),
    _person("aud", None, access=["auditor"]),
)

# The blueprint of the contract, word for word.
BLUEPRINT: dict[str, Any] = {
    "name": "Expense approval", "version": "1.0.0", "template_type": "approval", "owner": "user:olivia",
    "variables": [{"name": "amount", "type": "decimal", "required": True, "minimum": 0},
                  {"name": "department", "type": "string", "enum": ["sales", "it"]}],
    "settings": {"timezone": "Europe/Berlin", "calendar": "24x7",
                 "warn_before_hours": 2, "re_escalate_after_hours": 24},
    "process_steps": [
        {"stage_name": "Manager Approval", "approvers": ["manager_of(requester)"], "quorum": "any",
         "sla_hours": 24, "escalation_enabled": True, "escalation_to": "department_head",
         "reminders": {"every_hours": 8}},
        {"stage_name": "CFO Approval", "approvers": ["role:cfo"], "sla_hours": 48, "escalation_enabled": False}],
    "graph_spec": {
        "nodes": [{"id": "start", "type": "trigger", "x": 0, "y": 0},
                  {"id": "manager", "type": "approval", "step": "Manager Approval"},
                  {"id": "large", "type": "decision"},
                  {"id": "cfo", "type": "approval", "step": "CFO Approval"},
                  {"id": "yes", "type": "terminator", "outcome": "approved"},
                  {"id": "no", "type": "terminator", "outcome": "rejected"}],
        "edges": [{"from": "start", "to": "manager"},
                  {"from": "manager", "to": "large", "on": "approved"},
                  {"from": "manager", "to": "no", "on": "rejected"},
                  {"from": "large", "to": "cfo", "condition": "amount > 5000"},
                  {"from": "large", "to": "yes", "default": True},
                  {"from": "cfo", "to": "yes", "on": "approved"}, {"from": "cfo", "to": "no", "on": "rejected"}]},
}  # fmt: skip


@dataclass
class Placet:
    """The running installation, and calls to it."""

    place: Installation
    where: dict[str, Any]
    tokens: dict[str, str]
    http: httpx.Client
    first_metrics: str  # what was exposed before anybody did anything
    _numbers: Any = field(default_factory=itertools.count)

    def send(
        self, who: str | None, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> httpx.Response:
        """Call as a person (None: without a token) and return the answer, whatever it is."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        url = f"{self.where['api']}/api/v1/{path}"
        more: dict[str, Any] = {} if body is None else {"json": body}
        return self.http.request(method, url, headers=headers, **more)

    def get(self, who: str, path: str, *, expect: int = 200) -> Any:
        """Read something under /workflow/."""
        return self._call(who, "GET", path, expect=expect)

    def post(self, who: str, path: str, body: Any = None, *, expect: int = 200, key: str | None = None) -> Any:
        """Send something to /workflow/; a refusal is checked to be a problem document."""
        return self._call(who, "POST", path, body, expect=expect, key=key)

    def put(self, who: str, path: str, body: Any, *, expect: int = 200) -> Any:
        """Replace something under /workflow/."""
        return self._call(who, "PUT", path, body, expect=expect)

    def _call(self, who: str, method: str, path: str, body: Any = None, *, expect: int, key: str | None = None) -> Any:
        answer = known(lambda key: self.send(who, method, f"workflow/{path}", body, key=key), key)
        said = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:1500]}"
        assert answer.status_code == expect, said
        if expect >= 400:
            problem(answer)
        return answer.json()

    def name(self) -> str:
        """Return a name that no other test uses."""
        return f"Process {next(self._numbers)}"

    def process(self, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Return a blueprint of these steps; a step without a name gets one."""
        named = [{"stage_name": f"Stage {i}"} | step for i, step in enumerate(steps, start=1)]
        return {"name": self.name(), "version": "1.0.0", "owner": "user:olivia", "process_steps": named} | more

    def publish(self, blueprint: dict[str, Any]) -> str:
        """Publish a blueprint and return its name."""
        made = self.post("olivia", "process-templates/", blueprint, expect=201)
        self.post("olivia", f"process-templates/{made['id']}/publish/")
        return str(made["name"])

    def ask(self, *steps: dict[str, Any], who: str = "rita", given: Any = None, **more: Any) -> dict[str, Any]:
        """Publish a process of these steps and start a request for it."""
        return self.start(self.publish(self.process(*steps, **more)), who=who, given=given)

    def start(self, template: str, *, who: str = "rita", given: Any = None, **more: Any) -> dict[str, Any]:
        """Start a request."""
        body = {"template": template, "input": given or {}} | more
        return dict(self.post(who, "requests/", body, expect=201))

    def decide(self, who: str, task: str, decision: str = "approve", *, expect: int = 200, **more: Any) -> Any:
        """Decide a task."""
        return self.post(who, f"tasks/{task}/decide/", {"decision": decision} | more, expect=expect)

    def request(self, request: dict[str, Any]) -> dict[str, Any]:
        """Read a request again."""
        return dict(self.get("ada", f"requests/{request['id']}/"))

    def timeline(self, request: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
        """Return what happened to a request, of these kinds or all."""
        items = self.get("ada", f"requests/{request['id']}/timeline/?limit=500")["items"]
        return [item for item in items if not kinds or item["kind"] in kinds]


@contextmanager
def opened(home: Path, **env: str) -> Iterator[Placet]:
    """Give a running installation with people in it."""
    # Links that decide need no session here; stages that say so need one, as they do by default.
    with installation(home, PLACET_DECISION_LINKS="bearer", PLACET_WEBHOOK_ALLOW_LOOPBACK="true", **env) as place:
        tokens = place.load(PEOPLE)
        _, where = place.up()
        with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
            first = http.get(f"{where['api']}/api/v1/metrics/prometheus")
            yield Placet(place=place, where=where, tokens=tokens, http=http, first_metrics=first.text)


def problem(answer: httpx.Response) -> dict[str, Any]:
    """Return the problem document of a refusal; AssertionError where it is none."""
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "errors"} <= document.keys()
    assert document["status"] == answer.status_code
    assert all(e["message"] and e["pointer"][:1] in {"", "/"} for e in document["errors"])
    return document


def pointers(document: dict[str, Any]) -> list[str]:
    """Return the places that a problem document names."""
    return [error["pointer"] for error in document["errors"]]


def open_tasks(request: dict[str, Any]) -> dict[str | None, str]:
    """Return the ids of the open tasks by their assignee's bare id (None: in a queue)."""
    found = [task for task in request["tasks"] if task["status"] == "open"]
    return {task["assignee"] and task["assignee"].removeprefix("user:"): task["id"] for task in found}
