"""A script that transfers money once people have approved exactly that: PLACET_URL and PLACET_TOKEN say where and who.

python examples/approvals/plain_script.py Payments DE02120300000000202051 820.00
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from placet.client import Action, Client, ClientError


def transfer_with_approval(
    placet: Client, process: str, iban: str, amount: str, carry_out: Callable[[str, str], None]
) -> str:
    """Ask, wait, claim, and carry the transfer out; return the id of the request."""
    action = Action(
        type="transfer",
        target=iban,
        parameters={"amount": amount, "currency": "EUR"},
        expires_at=datetime.now(UTC) + timedelta(hours=8),
    )
    request = placet.start(process, title=f"Transfer of {amount} EUR", action=action)
    placet.wait_for_approval(request.id)
    placet.claim(request.id, action)
    carry_out(iban, amount)
    return request.id


if __name__ == "__main__":
    try:
        with Client() as client:
            transfer_with_approval(client, *sys.argv[1:4], carry_out=lambda iban, amount: print(f"{amount} to {iban}"))
    except ClientError as error:
        sys.exit(error.message)  # each outcome has words of its own
