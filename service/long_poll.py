"""Long polls: a caller waits for the end of a request, for a bounded time, and asks again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from placet.errors import Busy
from placet.sentences import sentence
from service.context import Context
from service.principal import Principal
from service.visibility import seen_request
from storage.announcements.announce import request_topic
from storage.queries.requests.requests import RequestWithTasks

MOST_SECONDS = 55
"""How long one call may wait: proxies commonly end one that is silent for 60 s."""
MOST_OF_ONE = 100
"""How many calls of one caller may wait at the same time in this process."""

_RETRY_AFTER = 5  # seconds
# Between looks, in seconds: where the end of a request is announced a look only finds what was missed.
_ANNOUNCED_LOOK, _LOOK = 5.0, 1.0
_waiting: Counter[str] = Counter()  # by caller


async def settled(context: Context, caller: Principal, request_id: str, *, seconds: float) -> RequestWithTasks:
    """Return a request once it has ended or was returned to its requester, or as it is after so many seconds.

    A process that stops answers at once. Raises NotFound as reading does, and Busy where too many of the caller wait.
    """
    now = asyncio.get_running_loop().time
    end = now() + seconds
    with _one_more(caller.person), context.subscriptions.subscribe(request_topic(request_id)) as announced:
        while True:
            announced.clear()
            stored = await context.database.read(seen_request, caller, request_id, context.now())
            left = end - now()
            if stored.request.status != "pending" or stored.request.returned or left <= 0 or context.admission.closed:
                return stored
            look = _ANNOUNCED_LOOK if context.subscriptions.connected else _LOOK
            with suppress(TimeoutError):
                await asyncio.wait_for(announced.wait(), min(look, left))


@contextmanager
def _one_more(person: str) -> Iterator[None]:
    if _waiting[person] >= MOST_OF_ONE:
        raise Busy(
            sentence("{number} calls of yours wait for requests here already.", number=_waiting[person]),
            retry_after=_RETRY_AFTER,
        )
    _waiting[person] += 1
    try:
        yield
    finally:
        _waiting[person] -= 1
        if not _waiting[person]:
            del _waiting[person]
