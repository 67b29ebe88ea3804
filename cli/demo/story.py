"""How the demo is told: whoever takes part calls the API, and each entry of a request becomes a line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape

from cli.terminal.output import out
from placet.errors import Unavailable

PATIENCE = 120.0  # seconds; long enough for a busy machine

_MAILS = {
    "task_opened": "your decision, please",
    "reminded": "a reminder",
    "sla_warning": "due soon",
    "sla_breached": "overdue",
    "escalated_from": "somebody else has it now",
    "escalated_to": "it is yours now",
}


@dataclass
class Story:
    """A demo in progress: the client, everybody's tokens, and the entries that were printed."""

    http: httpx.AsyncClient
    tokens: dict[str, str]
    mails: Path | None
    """The folder of the local mailbox; None where a mail server has the mails."""
    told: set[tuple[str, str, int]] = field(default_factory=set)

    async def call(self, person: str, method: str, path: str, body: Any = None, *, expect: int) -> Any:
        """Call the API as a person. Another status than the expected one ends the demo with the answer."""
        answer = await self.http.request(
            method,
            f"/api/v1/workflow/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.tokens[person]}"},
        )
        if answer.status_code != expect:
            raise Unavailable(f"{method} {path} as {person} answered {answer.status_code}: {answer.text}")
        return answer.json()

    async def follow(self, request_id: str, kind: str, *, times: int = 1) -> None:
        """Print the entries of a request until it has this many of a kind."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while loop.time() < end:
            timeline = await self.call("olivia", "GET", f"requests/{request_id}/timeline/?limit=500", expect=200)
            for item in timeline["items"]:
                chain = "delivery" if item["kind"].startswith("notif") else "audit"
                if (request_id, chain, item["chain_seq"]) not in self.told:
                    self.told.add((request_id, chain, item["chain_seq"]))
                    tell(item)
            if sum(1 for item in timeline["items"] if item["kind"] == kind) >= times:
                return
            await asyncio.sleep(0.1)
        raise Unavailable(f"the request has no entry {kind!r} after {PATIENCE:.0f} seconds")


async def task_of(story: Story, person: str, request_id: str) -> dict[str, Any]:
    """Return the task of a request that waits for a person."""
    answer = await story.call(person, "GET", f"tasks/?assignee=me&status=open&request_id={request_id}", expect=200)
    return dict(answer["items"][0])


def say(person: str, what: str) -> None:
    """Print what a person does."""
    out.print(f"[bold cyan]{person:>9}[/bold cyan]  {what}", soft_wrap=True)


def tell(item: dict[str, Any]) -> None:
    """Print an entry of a timeline."""
    at = datetime.fromisoformat(item["at"]).strftime("%H:%M:%S.%f")[:-4]
    actor = item["actor"].removeprefix("user:")
    out.print(
        f"[dim]{at}[/dim] [bold cyan]{actor:>9}[/bold cyan]  [yellow]{item['kind']:<13}[/yellow] "
        f"{item['stage'] or '':<16}  {escape(words_of(item['kind'], item['detail']))}".rstrip(),
        soft_wrap=True,
    )


def words_of(kind: str, detail: dict[str, Any]) -> str:
    """Describe an entry in words."""
    told = detail.get("to")
    people = ", ".join(_person(one) for one in told) if isinstance(told, list) else _person(str(told or ""))
    match kind:
        case "task_opened":
            return f"{_person(detail['assignee'])} is asked"
        case "reminded":
            return f"{people}: a reminder"
        case "notified":
            return f"a mail to {people}: {_MAILS.get(detail['event'], detail['event'])}"
        case "sla_warning":
            return "the deadline is near"
        case "sla_breached":
            return "the deadline has passed"
        case "escalated":
            moved = f"from {_person(detail['before']['assignee'])} to {_person(detail['after']['assignee'])}"
            return ": ".join(part for part in (moved, detail.get("why")) if part)
        case "decided":
            return ": ".join(part for part in (detail["decision"], detail.get("why")) if part)
        case "routed":
            why = "no condition holds" if detail["condition"] == "default" else detail["condition"]
            return f"on to {told!r}: {why}"
        case "claimed":
            return "the approved action, once"
        case "claim_refused":
            return "another action than the approved one"
        case _:
            return str(detail.get("outcome") or detail.get("result") or "")


def _person(one: str) -> str:
    return one.removeprefix("user:").capitalize()
