"""Failed log-ins: counted for their address, and on record."""

from __future__ import annotations

from service.context import Context
from storage.queries import api_calls
from storage.tables.approvals import Refusal


async def note(context: Context, way: str, *, address: str, status: int) -> None:
    """Count a failed log-in and put it on record; raises Busy, and records nothing, once an address has had too many.

    What was sent is not kept: it may be somebody's token with a slip in it.
    """
    await context.rate_limits.failed_logins.count(address)
    refusal = Refusal(
        at=context.now(),
        principal=f"address {address}"[:200],
        action="log in",
        status_code=status,
        reason=f"The log-in by {way} was refused.",
    )
    await context.database.write(api_calls.add_refusal, refusal)
