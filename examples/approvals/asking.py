"""What the examples of agents share: people are asked about one call of a tool, with its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from placet.client import Action, AsyncClient, ClaimRefused, NotGranted


async def denial_of(placet: AsyncClient, process: str, tool: str, arguments: Mapping[str, Any]) -> str | None:
    """Ask about a call and wait; None once it is claimed, so that it may run, else what the model is to be told.

    The text tells a denial, an expiry and a withdrawal apart. Every other error is raised: then it does not run either.
    """
    action = Action(type=tool, target=tool, parameters=arguments, expires_at=datetime.now(UTC) + timedelta(days=1))
    request = await placet.start(process, title=f"An agent calls {tool}", action=action)
    try:
        await placet.wait_for_approval(request.id)
        await placet.claim(request.id, action)
    except (NotGranted, ClaimRefused) as error:
        return error.message
    return None
