"""Calls from a chat: each counts once, and what is refused is on record, with the reason."""

from __future__ import annotations

from datetime import timedelta

from placet.errors import CallbackRefused
from service.chat.signatures import WINDOW, replayed
from service.context import Context
from storage.queries import api_calls
from storage.queries.identity import rate_counts
from storage.tables.approvals import Refusal

_LONGEST_REASON = 1000
_KEPT: timedelta = 3 * WINDOW  # longer than a call is fresh, whichever clock is ahead


async def require_first(context: Context, call_id: str) -> None:
    """Raise CallbackRefused for a call that has come before; all processes know of it."""
    times = await context.database.write(rate_counts.add, f"chat call {call_id}", 1, _KEPT, context.now())
    if times > 1:
        raise replayed()


async def record_forged(context: Context, service: str, error: CallbackRefused, *, address: str) -> None:
    """Put on record that a call was refused; raises Busy, and records nothing, where an address sends many of them."""
    await context.rate_limits.unsigned_calls.count(address)
    await record(context, who=service, error=error.message, status=401)


async def record(
    context: Context, *, who: str, error: str, status: int, task_id: str | None = None, action: str = "chat"
) -> None:
    """Store that somebody was refused something; `who` is `slack`, a member (`slack:T1:U1`), or a person's id."""
    request_id = task_id.rpartition(".")[0] or None if task_id else None
    refusal = Refusal(
        at=context.now(),
        principal=who[:200],
        request_id=request_id and request_id[:200],
        task_id=task_id and task_id[:200],
        action=action,
        status_code=status,
        reason=error[:_LONGEST_REASON],
    )
    await context.database.write(api_calls.add_refusal, refusal)
