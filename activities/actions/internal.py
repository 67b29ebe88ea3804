"""The executors that call nothing outside of Placet: `set_variables` and `create_request`."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from activities.actions.executor import ActionFailed, ActionJob, Executor
from placet.errors import Busy, PlacetError, Unavailable
from placet.plan import pure_actions

CREATE_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "template": {"type": "string", "minLength": 1, "maxLength": 200},
        "version": {"type": "string", "maxLength": 100},
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "input": {"type": "object"},
    },
    "required": ["template", "input"],
    "additionalProperties": False,
}
CREATE_OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"request_id": {"type": "string"}},
    "required": ["request_id"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubRequest:
    """A request that another request, `parent`, starts for the same requester.

    The input cannot name another requester. Otherwise its author could approve a request of their own.
    """

    request_id: str
    parent: str
    template: str
    version: str | None
    title: str | None
    input: dict[str, Any]


StartRequest = Callable[[SubRequest], Awaitable[None]]
"""Starts a request. Does nothing where a request of this id exists. Raises PlacetError."""


class SetVariables:
    """Return the input: the process takes its variables from there."""

    config_schema: dict[str, Any] = {"type": "object", "maxProperties": 0}  # noqa: RUF012 - a constant

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Return the input."""
        return pure_actions.set_variables(job.input)


class CreateRequest:
    """Start another request by template.

    Its id follows from the idempotency key, so a repeated attempt starts nothing.
    """

    config_schema: dict[str, Any] = {  # noqa: RUF012 - a constant of the protocol's shape
        "type": "object",
        "properties": {"template": {"type": "string"}, "version": {"type": "string"}},
        "additionalProperties": False,
    }

    def __init__(self, begin: StartRequest) -> None:
        self._begin = begin

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Start the request and return its id; raises ActionFailed."""
        given = job.input
        request_id = hashlib.sha256(f"placet.create_request:{job.key}".encode()).hexdigest()[:32]
        new = SubRequest(
            request_id=request_id,
            parent=job.request_id,
            template=job.config.get("template") or given["template"],
            version=job.config.get("version") or given.get("version"),
            title=given.get("title"),
            input=given["input"],
        )
        try:
            await self._begin(new)
        except (Busy, Unavailable) as error:
            raise ActionFailed(error.message) from error
        except PlacetError as error:
            raise ActionFailed(error.message, permanent=True) from error
        return {"request_id": request_id}


PURE: Mapping[str, Executor] = {"set_variables": SetVariables()}
"""The executors without side effects (placet.plan.pure_actions). Rehearsals run them too."""
