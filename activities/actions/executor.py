"""Executors carry actions out; they are built in or come from packages (entry point group `placet.actions`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from placet.errors import PlacetError


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionJob:
    """One attempt to execute an action.

    `config` is the catalog's, with secrets in place of their references: it must not be logged or returned. `key`
    is the same at every attempt, and unique to (request, node, visit). `seconds` is how long the attempt may take.
    """

    action: str
    request_id: str
    node: str
    key: str
    attempt: int
    seconds: float
    config: Mapping[str, Any]
    input: Mapping[str, Any]


class ActionFailed(PlacetError):
    """The action could not be carried out.

    `permanent`: trying again is useless. The message reaches the request's history, so it holds no secret and no body.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(" ".join(message.split())[:500])
        self.permanent = permanent


class Executor(Protocol):
    """One way to carry actions out."""

    @property
    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema of what the catalog may set; `{"secret": NAME}` may stand wherever it allows an object."""
        ...

    async def run(self, job: ActionJob) -> dict[str, Any]:
        """Return the output as JSON values; raises ActionFailed, and gives up within `job.seconds`."""
        ...
