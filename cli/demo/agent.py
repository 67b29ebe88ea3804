"""The demo's agent: it asks by the real MCP server, a person approves in the inbox, and it claims what was approved."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import httpx
from rich.markup import escape

from cli.commands import login, tokens
from cli.demo.story import Story, say
from cli.terminal.output import out
from placet.errors import Unavailable
from worker.settings import Settings

if TYPE_CHECKING:
    from mcp import Client

PAYMENT: Final[dict[str, Any]] = {
    "name": "Payment by an agent",
    "version": "1.0.0",
    "owner": "user:olivia",
    "description": "A person approves each payment that an agent wants to make.",
    "variables": [
        {"name": "amount", "type": "decimal", "minimum": 0, "description": "What is paid, in euros"},
        {"name": "invoice", "type": "string", "max_length": 100},
    ],
    "settings": {"separation_of_duties": {"agent_principal": "forbid"}},
    "process_steps": [{"stage_name": "Yes or no", "approvers": ["user:max"], "sla_hours": 24}],
}
"""The process by which the agent asks. Rita, for whom it acts, may not approve."""

_AGENT = "agent"
_PERSON: Final = {
    "id": _AGENT,
    "name": "Payments agent",
    "actor_type": "agent",
    "principal": "user:rita",
    "access": ["requester"],
}
_TITLE = "Pay invoice 4711"
_PARAMETERS: Final = {"amount": "82000.00", "invoice": "4711"}


async def agent_asks(story: Story, settings: Settings, api: str) -> None:
    """Tell how an agent asks for a payment, is told to wait, and claims once what Max has approved."""
    out.rule("An agent asks through MCP")
    if find_spec("mcp") is None:
        out.print("The MCP SDK is not installed, so this chapter is left out: pip install 'placet\\[mcp]'\n")
        return
    out.print("A payments agent acts for Rita and talks to `placet mcp`. It may ask and claim, and decides nothing.")
    out.print("Max approves in his inbox, by its pages. What the agent is told stands behind the name of the tool.\n")
    template = await story.call("olivia", "POST", "process-templates/", PAYMENT, expect=201)
    await story.call("olivia", "POST", f"process-templates/{template['id']}/publish/", expect=200)
    await story.call("olivia", "POST", "people/", _PERSON, expect=201)
    story.tokens[_AGENT] = await tokens.issue(settings, _AGENT, None)
    transfer = {"action_type": "payment", "target": "DE02120300000000202051", "parameters": _PARAMETERS}
    async with _connected(api, story.tokens[_AGENT]) as agent:
        asked = {"template": PAYMENT["name"], "title": _TITLE, "expires_at": _tomorrow(), "wait_seconds": 0}
        request = (await _told(agent, "ask_for_approval", "PENDING", transfer | asked))["request_id"]
        claim = {"request_id": request} | transfer
        await _told(agent, "claim_action", "CLAIM REFUSED", claim)
        await _approve_in_the_inbox(await login.address(settings, "max"))
        await _told(agent, "wait_for_approval", "APPROVED", {"request_id": request})
        larger = claim | {"parameters": _PARAMETERS | {"amount": "820000.00"}}
        await _told(agent, "claim_action", "CLAIM REFUSED", larger, "820,000 in place of 82,000")
        await _told(agent, "claim_action", "CLAIMED", claim, "exactly what was approved")
        await _told(agent, "claim_action", "CLAIM REFUSED", claim, "the same once more")
    out.print()
    await story.follow(request, "claimed")
    verified = await story.call("olivia", "GET", f"requests/{request}/audit/verify/", expect=200)
    if not verified["ok"]:
        raise Unavailable("the audit chain of the agent's request is broken")
    out.print(
        f"\n[bold]{_TITLE}: approved once, claimed once.[/bold] The audit chain of {verified['entries']} entries is "
        "intact."
    )


@asynccontextmanager
async def _connected(api: str, token: str) -> AsyncIterator[Client]:
    """Start `placet mcp` as an agent's program does, over a pipe, with the agent's token."""
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    program = ["-c", "from cli.main import app; app()", "mcp"]
    env = {"PLACET_URL": api, "PLACET_TOKEN": token}
    async with Client(StdioServerParameters(command=sys.executable, args=program, env=env)) as client:
        yield client


async def _told(
    agent: Client, tool: str, expected: str, given: Mapping[str, Any], what: str | None = None
) -> dict[str, Any]:
    """Call a tool and print what the agent is told; another answer than the expected one ends the demo."""
    result = await agent.call_tool(tool, dict(given))
    text = "".join(getattr(part, "text", "") for part in result.content)
    words = text[text.find(expected) :] if expected in text else text
    say(_AGENT, escape(f"{tool}{f' ({what})' if what else ''}: {words.partition(chr(10))[0]}"))
    if expected not in text:
        raise Unavailable(f"the agent was told something else than {expected!r}: {text}")
    return dict(result.structured_content or {})


async def _approve_in_the_inbox(address: str) -> None:
    """Open the inbox as whoever the address logs in, read the agent's request there, and press Approve."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as browser:
        await browser.get(address)
        home = httpx.URL(address).join("/")
        inbox = (await browser.get(home)).text
        place = re.search(rf'href="(/tasks/[^"?#]+)"[^>]*>{re.escape(_TITLE)}<', inbox)
        if place is None:
            raise Unavailable(f"{_TITLE!r} is not in the inbox of Max")
        page = (await browser.get(home.join(place[1]))).text
        action = page.partition('id="action"')[2].partition("</section>")[0]
        shown = [f"{name} {value}" for name, value in _PARAMETERS.items() if value in action]
        say("max", f"opens {_TITLE!r} in his inbox and reads every parameter: {', '.join(shown)}")
        form = {name: _field(page, name) for name in ("csrf_token", "revision", "key")}
        answer = await browser.post(home.join(f"{place[1]}/decide"), data=form | {"decision": "approve"})
        if answer.status_code != httpx.codes.SEE_OTHER or len(shown) != len(_PARAMETERS):
            raise Unavailable(f"the page of {_TITLE!r} cannot be approved ({answer.status_code})")
        say("max", "presses Approve")


def _field(page: str, name: str) -> str:
    """Return the value of a hidden field of the form that decides."""
    form = page[page.index("data-decide") :]
    found = re.search(rf'name="{name}" value="([^"]*)"', form)
    if found is None:
        raise Unavailable(f"the page of the task has no field {name!r}")
    return found[1]


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()
