"""Payloads of the engine for whoever looks at them beside Placet, such as the Temporal Web UI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from placet.errors import Unavailable

_AT_ONCE = 50  # decoded before other calls have their turn


async def readable(client: Client, payloads: Sequence[Payload]) -> list[Payload]:
    """Return payloads decrypted. One that is not encrypted, or by no key that is known here, stays as it is."""
    codec = client.data_converter.payload_codec
    if codec is None:
        return list(payloads)
    shown: list[Payload] = []
    for number, payload in enumerate(payloads, 1):
        try:
            shown += await codec.decode([payload])
        except Unavailable:
            shown.append(payload)
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return shown
