"""People who call the API, repeat what they got no answer to under the same key, and write down what they were told."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.site import BLUEPRINTS, ESCALATING, Site

TIMEOUT = 12.0  # seconds for one answer; the API itself says after eight that it does not know
_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_LATE = 20  # looks at a task until somebody stops waiting for its escalation
_LOOK = 0.7  # seconds between two of them
_MOST_TURNS = 40  # of a request, until somebody gives up


@dataclass(eq=False)
class Call:
    """What somebody asked for under one key, and all that they were told: statuses with what the answers said."""

    kind: str  # start, decide, comment, resubmit, withdraw
    key: str
    person: str
    request_id: str | None
    body: dict[str, Any]
    path: str
    task_id: str | None = None
    began: float = 0.0
    told: list[tuple[float, int, Any]] = field(default_factory=list)  # when, the status, and the JSON
    unanswered: int = 0  # calls without an answer, or with one that says to repeat it
    moment: float = 0.0  # when it was acknowledged first

    @property
    def acknowledged(self) -> bool:
        """Whether an answer said that it is done."""
        return any(status < httpx.codes.MULTIPLE_CHOICES for _, status, _ in self.told)

    @property
    def refused(self) -> bool:
        """Whether every answer that said something said no."""
        return bool(self.told) and not self.acknowledged


class People:
    """All callers of one run."""

    def __init__(self, site: Site, seed: int, at_once: int) -> None:
        self._site = site
        self._seed = seed
        self.calls: list[Call] = []
        self.complaints: list[str] = []  # what no caller should ever be told
        self.asked: dict[str, float] = {}  # by request: when it was asked for first
        self.ended: dict[str, tuple[str, str | None]] = {}  # by request: how it ended, as somebody was told
        self.slowest = 0.0  # seconds until a call was answered at last
        connections = 4 * at_once  # each request has at most two calls at the same time, and lost ones take a while
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=32, keepalive_expiry=10)
        self._client = httpx.AsyncClient(
            base_url=f"{site.api}/api/v1/workflow/", timeout=TIMEOUT, limits=limits, trust_env=False
        )

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def request(self, number: int) -> None:
        """Ask for something, and have people bring it to its end."""
        draw = random.Random(f"{self._seed}/{number}")
        template = draw.choices(BLUEPRINTS, weights=(6, 3, 2))[0]["name"]
        key = f"s{number}x"
        body = {"template": template, "title": f"Request {key}", "input": {"amount": number}}
        began = time.monotonic()
        started = await self._ask(Call("start", key, "ann", None, body, "requests/"), twice=draw.random() < 0.1)
        request_id = str(started["id"])
        self.asked[request_id] = began
        if draw.random() < 0.2:
            await self._words(draw, number, request_id)
        if draw.random() < 0.04:
            await self._tell("withdraw", f"w{number}x", "ann", request_id, f"requests/{request_id}/withdraw/")
        waits = template == ESCALATING and draw.random() < 0.7
        for turn in range(_MOST_TURNS):
            now = await self._read(request_id)
            if now["status"] != "pending":
                self.ended[request_id] = (now["status"], now["outcome"])
                return
            if waits and turn < _LATE and all(task["escalation_level"] == 0 for task in now["tasks"]):
                await asyncio.sleep(_LOOK)
                continue
            await self._turn(draw, f"{number}y{turn}", now)
        self.complaints.append(f"{request_id} is still open after {_MOST_TURNS} turns")

    async def _turn(self, draw: random.Random, name: str, now: dict[str, Any]) -> None:
        open_tasks = [task for task in now["tasks"] if task["status"] == "open"]
        if not open_tasks:
            await self._tell("resubmit", f"r{name}x", "ann", now["id"], f"requests/{now['id']}/resubmit/")
            return
        task = draw.choice(open_tasks)
        chances = ("approve", "approve", "approve", "approve", "approve", "approve", "reject", "request_changes")
        decisions = [draw.choice(chances) for _ in range(1 if draw.random() < 0.85 else 2)]
        person = task["assignee"].removeprefix("user:")
        # Two windows of one person: at most one of both decisions stands.
        await asyncio.gather(
            *(
                self._ask(
                    Call(
                        "decide",
                        f"d{name}z{n}x",
                        person,
                        now["id"],
                        {"decision": decision},
                        f"tasks/{task['id']}/decide/",
                        task_id=task["id"],
                    ),
                    twice=draw.random() < 0.1,
                )
                for n, decision in enumerate(decisions)
            )
        )

    async def _words(self, draw: random.Random, number: int, request_id: str) -> None:
        person = draw.choice(("ann", "bob", "olivia"))
        await self._tell("comment", f"c{number}x", person, request_id, f"requests/{request_id}/comments/")

    async def _tell(self, kind: str, key: str, person: str, request_id: str, path: str) -> None:
        await self._ask(Call(kind, key, person, request_id, {}, path))

    async def _ask(self, call: Call, *, twice: bool = False) -> Any:
        """Call under one key until the outcome is known; sometimes once more, when it is known."""
        if call.kind != "start":
            call.body |= {"text" if call.kind == "comment" else "comment": call.key}
        if call.kind == "withdraw":
            call.body = {"reason": call.key}
        call.began = time.monotonic()
        self.calls.append(call)
        answer = await self._known(call)
        call.moment = time.monotonic()
        self.slowest = max(self.slowest, call.moment - call.began)
        if call.kind == "decide" and call.acknowledged:
            self._compare(call, answer)
        if twice:
            again = await self._known(call)
            if call.kind == "start" and again.get("id") != answer.get("id"):
                self.complaints.append(f"{call.key} was told of two requests: {answer.get('id')} and {again.get('id')}")
        return answer

    async def _known(self, call: Call) -> Any:
        pause = _PAUSE
        while True:
            status, answer = await self._send("POST", call.path, call.person, call.body, call.key)
            if status is not None and status not in {429, 503}:
                call.told.append((time.monotonic(), status, _gist(answer, call.task_id)))
                if status >= 500 or status in {400, 401, 404, 422} or (status == 403 and call.kind != "decide"):
                    self.complaints.append(f"{call.kind} {call.key} was answered with {status}: {str(answer)[:300]}")
                    if call.kind == "start":
                        raise RuntimeError(self.complaints[-1])
                return answer
            call.unanswered += 1
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _read(self, request_id: str) -> dict[str, Any]:
        """Read a request; one that was acknowledged is there whenever the API answers."""
        while True:
            status, answer = await self._send("GET", f"requests/{request_id}/", "ann", None, None)
            if status == httpx.codes.OK:
                return dict(answer)
            if status is not None and status not in {429, 503}:
                self.complaints.append(f"{request_id} was acknowledged, and reading it is answered with {status}")
            await asyncio.sleep(_LONGEST_PAUSE)

    async def _send(self, method: str, path: str, person: str, body: Any, key: str | None) -> tuple[int | None, Any]:
        headers = {"Authorization": f"Bearer {self._site.tokens[person]}"} | ({"Idempotency-Key": key} if key else {})
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._client.request(method, path, json=body, headers=headers)
        except (httpx.HTTPError, TimeoutError):
            return None, None
        return answer.status_code, answer.json() if answer.content else None

    def _compare(self, call: Call, answer: Any) -> None:
        said = next((task["decision"] for task in answer["tasks"] if task["id"] == call.task_id), None)
        if said != call.body["decision"]:
            self.complaints.append(f"{call.key} decided {call.body['decision']}, and was answered with {said}")


def _gist(answer: Any, task_id: str | None) -> Any:
    """Return what is kept of an answer: id, status and outcome, and the decision on its task."""
    if not isinstance(answer, dict):
        return answer
    kept = {name: answer[name] for name in ("id", "status", "outcome", "standing", "title") if name in answer}
    if task_id is not None:
        kept["decision"] = next((t["decision"] for t in answer.get("tasks", ()) if t["id"] == task_id), None)
    return kept
