"""`@requires_approval`: a function that runs once people have approved exactly this call of it, and it is claimed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from placet.client.arguments import as_parameters
from placet.client.asynchronous import AsyncClient
from placet.client.blocking import Client
from placet.client.documents import Action, Claim, Request
from placet.client.errors import ArgumentsChanged

P = ParamSpec("P")
R = TypeVar("R")
Arguments = Mapping[str, Any]
"""The arguments of one call by the names of the parameters, with defaults, without `self` and `cls`."""

_log = logging.getLogger("placet.client")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What a decorator was given: text, or what makes it of the arguments of a call."""

    template: str
    type: str
    target: str | Callable[[Arguments], str]
    input: Callable[[Arguments], Mapping[str, Any]] | None
    title: str | Callable[[Arguments], str] | None
    expires_at: Callable[[Arguments], datetime]
    key: Callable[[Arguments], str] | None
    timeout: float | None
    on_asked: Callable[[Request], object] | None

    def action(self, given: Arguments, expires_at: datetime) -> Action:
        target = self.target if isinstance(self.target, str) else self.target(given)
        return Action(type=self.type, target=target, parameters=as_parameters(given), expires_at=expires_at)

    def opening(self, given: Arguments) -> tuple[Action, dict[str, Any]]:
        """Return the action as it is asked for, and the other arguments of the client's `start`."""
        action = self.action(given, self.expires_at(given))
        return action, {
            "template": self.template,
            "input": {} if self.input is None else self.input(given),
            "title": self.title(given) if callable(self.title) else self.title,
            "action": action,
            "key": None if self.key is None else self.key(given),
        }

    def patience(self, action: Action) -> float:
        """Return for how many seconds to wait: when the action has expired, an approval is of no use."""
        left = (action.expires_at - datetime.now(UTC)).total_seconds()
        return max(0.0, left if self.timeout is None else min(left, self.timeout))

    def tell(self, request: Request) -> None:
        _log.info("request %s asks for approval of %s", request.id, self.type)
        if self.on_asked is not None:
            self.on_asked(request)

    def as_claimed(self, now: Action, claimed: Action, claim: Claim) -> None:
        """Raise ArgumentsChanged where what would run is no longer what was claimed."""
        if now != claimed:
            raise ArgumentsChanged
        _log.info("request %s is claimed; %s runs", claim.request_id, self.type)


def requires_approval(
    template: str,
    *,
    type: str,  # noqa: A002 - as an action has it
    target: str | Callable[[Arguments], str],
    input: Callable[[Arguments], Mapping[str, Any]] | None = None,  # noqa: A002 - as the API calls it
    title: str | Callable[[Arguments], str] | None = None,
    valid_for: timedelta = timedelta(days=1),
    expires_at: Callable[[Arguments], datetime] | None = None,
    key: Callable[[Arguments], str] | None = None,
    timeout: float | None = None,
    client: Client | AsyncClient | None = None,
    on_asked: Callable[[Request], object] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function ask for approval by a process, wait for it, and claim it before it runs.

    People see the action: `type`, `target`, and all arguments as `parameters`. What is claimed is made of the arguments
    anew after the approval, so that a list that was changed meanwhile is refused. The function runs after a successful
    claim and at no other time; everything else raises a NotGranted, a ClaimRefused or another ClientError.

    `input` makes the process's input of the arguments. An approval may be claimed for `valid_for`, or until
    `expires_at`; it waits no longer, or for `timeout` seconds. `on_asked` is told the request.

    With a `key` made of the arguments, a process that was restarted waits for the same request, if `expires_at` makes
    the same time of them; the claim is never repeated, so that the function runs at most once for each approval.

    The client is one of PLACET_URL and PLACET_TOKEN if none is given; a function that is `async` takes an AsyncClient.
    """
    if key is not None and expires_at is None:
        raise TypeError("a key needs expires_at: a request that is asked for again has to have the same end")
    asked = _Asked(
        template=template,
        type=type,
        target=target,
        input=input,
        title=title,
        expires_at=expires_at or (lambda _: datetime.now(UTC) + valid_for),
        key=key,
        timeout=timeout,
        on_asked=on_asked,
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator, which runs after it was called; write a function")
        expected = AsyncClient if inspect.iscoroutinefunction(function) else Client
        if client is not None and not isinstance(client, expected):
            raise TypeError(f"{function.__qualname__} needs {expected.__name__}, not {client.__class__.__name__}")
        if expected is AsyncClient:
            waits = _asynchronous(asked, cast(Callable[P, Awaitable[Any]], function), cast(AsyncClient | None, client))
            return cast(Callable[P, R], waits)
        return _blocking(asked, function, cast(Client | None, client))

    return decorate


def _blocking(asked: _Asked, function: Callable[P, R], client: Client | None) -> Callable[P, R]:
    @wraps(function)
    def approved(*args: P.args, **kwargs: P.kwargs) -> R:
        given = _arguments(function, *args, **kwargs)
        action, opening = asked.opening(given)
        placet = client or Client()
        try:
            request = placet.start(**opening)
            asked.tell(request)
            placet.wait_for_approval(request.id, timeout=asked.patience(action))
            claimed = asked.action(_arguments(function, *args, **kwargs), action.expires_at)
            claim = placet.claim(request.id, claimed)
        finally:
            if client is None:
                placet.close()
        asked.as_claimed(asked.action(_arguments(function, *args, **kwargs), action.expires_at), claimed, claim)
        return function(*args, **kwargs)

    return approved


def _asynchronous(
    asked: _Asked, function: Callable[P, Awaitable[R]], client: AsyncClient | None
) -> Callable[P, Awaitable[R]]:
    @wraps(function)
    async def approved(*args: P.args, **kwargs: P.kwargs) -> R:
        given = _arguments(function, *args, **kwargs)
        action, opening = asked.opening(given)
        placet = client or AsyncClient()
        try:
            request = await placet.start(**opening)
            asked.tell(request)
            await placet.wait_for_approval(request.id, timeout=asked.patience(action))
            claimed = asked.action(_arguments(function, *args, **kwargs), action.expires_at)
            claim = await placet.claim(request.id, claimed)
        finally:
            if client is None:
                await placet.close()
        asked.as_claimed(asked.action(_arguments(function, *args, **kwargs), action.expires_at), claimed, claim)
        return await function(*args, **kwargs)

    return approved


def _arguments(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Arguments:
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    named = list(bound.arguments.items())
    return dict(named[1:] if named and named[0][0] in {"self", "cls"} else named)
