"""`placet demo`: a complete approval over HTTP, in which seconds stand for hours."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer
from rich.markup import escape

from activities.notifications.channels.mailbox import Mailbox
from cli.commands import login, people, tokens, up
from cli.demo.agent import agent_asks
from cli.demo.story import PATIENCE, Story, say, task_of
from cli.terminal.event_loop import run, until_told_to_stop, watch_for_stop
from cli.terminal.options import settings_with
from cli.terminal.output import errors_as_messages, out
from placet.errors import Unavailable
from placet.shipped import shipped
from worker.settings import Settings

_UNDO = 30  # seconds
BLUEPRINTS = shipped("blueprints")


# Who opens the inbox, and what they see there.
_VISITORS = {
    "max": "Max, who has to decide",
    "rita": "Rita, who asked",
    "carla": "Carla, the CFO",
    "olivia": "Olivia, who sees everything",
}
_OPEN: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "purchase-order": [
        ("Standing desks for the new office", {"supplier": "Nordholz", "quantity": 12, "unit_price": "489.00"}),
        ("Demo phones", {"supplier": "Fernmann", "quantity": 3, "unit_price": "699.90"}),
    ],
    "access-request": [("CRM for the trade fair team", {"system": "crm", "level": "write"})],
}


async def play(settings: Settings, where: dict[str, Any], *, hour: float, stay: bool) -> None:
    """Play the story on a Placet that runs, and keep running if `stay`."""
    await people.load(settings, BLUEPRINTS / "people.json")
    who = {p["id"]: await tokens.issue(settings, p["id"], None) for p in _read("people.json")}
    async with httpx.AsyncClient(base_url=where["api"], timeout=30, trust_env=False) as http:
        folder = None if where["mailbox"] is None else settings.home / "mailbox"
        story = Story(http=http, tokens=who, mails=folder)
        await _story(story, hour)
        await agent_asks(story, settings, where["api"])
        await _leave_open(story)
        _summary(where, who)
        await _addresses(settings)
        if not stay:
            out.print("\nThe demo has ended and its data is removed. In a terminal it keeps running.")
            return
        stop = watch_for_stop()
        out.print("\nThe API and the pages stay up. Press Ctrl-C to stop.")
        await until_told_to_stop(stop)


async def _story(story: Story, hour: float) -> None:
    out.rule("Placet: a complete approval")
    out.print(f"One hour lasts {hour:g} s here. Rita asks for approval of 7,250.00.")
    out.print("Max is her manager, Dana is the manager of Max, and Carla is the CFO. Max does not answer.")
    out.print("Each line with a time is an entry of the request's audit chain or of its deliveries.\n")
    blueprint = _in_seconds(_read("expense.json"), hour)
    template = await story.call("olivia", "POST", "process-templates/", blueprint, expect=201)
    await story.call("olivia", "POST", f"process-templates/{template['id']}/publish/", expect=200)
    say("olivia", f"publishes the blueprint {template['name']!r} {template['version']}")
    body = {
        "template": blueprint["name"],
        "title": "Trade fair stand, Berlin",
        "input": {"amount": "7250.00", "department": "sales", "purpose": "Stand and travel"},
    }
    request = await story.call("rita", "POST", "requests/", body, expect=201)
    say("rita", f"asks for approval: {request['id']}")
    await story.follow(request["id"], "escalated")
    await story.follow(request["id"], "reminded", times=3)
    task = await task_of(story, "dana", request["id"])
    late = await story.http.post(
        f"/api/v1/workflow/tasks/{task['id']}/decide/",
        json={"decision": "approve"},
        headers={"Authorization": f"Bearer {story.tokens['max']}"},
    )
    say("max", f"tries to approve too late and is refused ({late.status_code}): {late.json()['detail']}")
    await story.call(
        "dana", "POST", f"tasks/{task['id']}/decide/", {"decision": "approve", "comment": "Go."}, expect=200
    )
    await story.follow(request["id"], "task_opened", times=2)
    task = await task_of(story, "carla", request["id"])
    await story.call("carla", "POST", f"tasks/{task['id']}/decide/", {"decision": "approve"}, expect=200)
    await story.follow(request["id"], "completed")
    await _proof(story, request["id"])
    await _nobody_answers(story, blueprint["name"])
    await _mails(story)


async def _nobody_answers(story: Story, template: str) -> None:
    out.print("\nA second request. Neither Max nor Dana answers, so it escalates to Carla.\n")
    body = {"template": template, "title": "Team dinner", "input": {"amount": "480.00", "department": "sales"}}
    request = await story.call("rita", "POST", "requests/", body, expect=201)
    say("rita", f"asks for approval: {request['id']}")
    await story.follow(request["id"], "escalated", times=2)
    task = await task_of(story, "carla", request["id"])
    await story.call("carla", "POST", f"tasks/{task['id']}/decide/", {"decision": "approve"}, expect=200)
    await story.follow(request["id"], "completed")
    await _proof(story, request["id"])


async def _proof(story: Story, request_id: str) -> None:
    verified = await story.call("olivia", "GET", f"requests/{request_id}/audit/verify/", expect=200)
    final = await story.call("rita", "GET", f"requests/{request_id}/", expect=200)
    out.print(
        f"\n[bold]{final['title']}: {final['outcome']}.[/bold] The audit chain of {verified['entries']} entries "
        f"{'is intact' if verified['ok'] else 'IS BROKEN'}:\nthe database and the engine's history agree."
    )
    out.print(f"In the Temporal Web UI: {final['links']['temporal_ui']}", soft_wrap=True)
    if final["outcome"] != "approved" or not verified["ok"]:
        raise Unavailable("the request was not approved, or its audit chain is broken")


async def _mails(story: Story) -> None:
    """Print the mails, once the last one has arrived."""
    if story.mails is None:
        return
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        mails = Mailbox(folder=story.mails).mails()
        if any(mail.subject == "Approved: Team dinner" for mail in mails):
            break
        if loop.time() > end:
            raise Unavailable("the mail about the outcome did not arrive")
        await asyncio.sleep(0.2)
    out.print("\nMails that were sent:\n")
    for mail in mails:
        at, to = f"{mail.received_at:%H:%M:%S}", ", ".join(mail.to)
        out.print(f"[dim]{at}[/dim]  {to:24} {escape(mail.subject)}", soft_wrap=True)


def _undoable(blueprint: dict[str, Any]) -> dict[str, Any]:
    """Return the blueprint with a first stage in which a decision can be undone, for whoever tries the inbox."""
    first, *others = blueprint["process_steps"]
    return blueprint | {"process_steps": [first | {"undo_seconds": _UNDO}, *others]}


def _in_seconds(blueprint: dict[str, Any], hour: float) -> dict[str, Any]:
    """Return the blueprint with its hours scaled down: one hour lasts `hour` seconds."""
    scale = hour / 3600

    def scaled(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {k: scaled(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [scaled(v, name) for v in value]
        return value * scale if name.endswith("_hours") or name == "sla_hours" else value

    return dict(scaled(blueprint))


def _read(name: str) -> Any:
    return json.loads((BLUEPRINTS / name).read_text())


async def _leave_open(story: Story) -> None:
    """Start requests that wait for Max, for the inbox."""
    for name, requests in _OPEN.items():
        blueprint = _undoable(_read(f"{name}.json"))
        template = await story.call("olivia", "POST", "process-templates/", blueprint, expect=201)
        await story.call("olivia", "POST", f"process-templates/{template['id']}/publish/", expect=200)
        for title, given in requests:
            body = {"template": blueprint["name"], "title": title, "input": given}
            await story.call("rita", "POST", "requests/", body, expect=201)


async def _addresses(settings: Settings) -> None:
    out.print("\n[bold]The inbox[/bold], opened as one of them. Each address works once, within five minutes:")
    for person, part in _VISITORS.items():
        out.print(f"  {part:28} {await login.address(settings, person)}", soft_wrap=True)
    out.print(f"Another one: PLACET_HOME={settings.home} .venv/bin/placet login PERSON", soft_wrap=True)


def _summary(where: dict[str, Any], who: dict[str, str]) -> None:
    out.print("\n[bold]Addresses[/bold]")
    up.show(where)
    out.print("\n[bold]API tokens[/bold], for the header `Authorization: Bearer TOKEN`")
    for person, token in who.items():
        out.print(f"  {person:16} {token}", soft_wrap=True)


def demo_command(
    port: Annotated[int, typer.Option(help="The port that the API listens on; 0 for a free port.")] = 0,
    hour: Annotated[float, typer.Option(help="How many seconds stand for an hour.", min=0.05)] = 0.25,
) -> None:
    """Show a complete approval in which seconds stand for hours. In a terminal, keep the API running afterwards."""
    settings = settings_with()
    with TemporaryDirectory(prefix="placet-demo-", ignore_cleanup_errors=True) as home, errors_as_messages():
        own = settings.model_copy(update={"home": Path(home), "port": port, "database_url": None})
        with up.everything_running(own) as where:
            run(play(own, where, hour=hour, stay=sys.stdin.isatty()))
