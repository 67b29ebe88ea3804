"""Failed log-ins: counted for their address, on record, and in the security log."""

from __future__ import annotations

from service import security_log
from service.context import Context
from storage.queries import api_calls
from storage.tables.approvals import Refusal


async def require(context: Context, way: str, *, address: str) -> None:
    """Raise Busy where an address has had too many failed log-ins; counts nothing."""
    with security_log.refusals("log_in_failed", way=way, address=address):
        await context.rate_limits.failed_logins.require(address)


async def note(context: Context, way: str, *, address: str, status: int, person: str | None = None) -> None:
    """Count a failed log-in and put it on record; raises Busy, and records nothing, once an address has had too many.

    What was sent is not kept: it may be somebody's token with a slip in it.
    """
    security_log.note("log_in_failed", way=way, address=address, status=status, person=person)
    await context.rate_limits.failed_logins.count(address)
    refusal = Refusal(
        at=context.now(),
        principal=f"address {address}"[:200],
        action="log in",
        status_code=status,
        reason=f"The log-in by {way} was refused.",
    )
    await context.database.write(api_calls.add_refusal, refusal)
