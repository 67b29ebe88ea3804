"""The models of the erasure of a person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.common import Body, Shown, View, shown
from service.erasure.erasing import ErasureState

_BODY: dict[str, Any] = {"person": "mia"}


class ErasureBody(Body):
    """The id of the person once more; `id_stays` where the id is a mail address, which stays with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_BODY]})

    person: Annotated[str, Field(max_length=140)]
    id_stays: Annotated[bool, Field(strict=True)] = False


class ErasureItemView(View):
    """What of an erasure waits: a request, or a rehearsal in the engine.

    `in_database` is false where only the engine's history is left. `reason` says why it cannot be erased; null where
    its time has not come, because the request still runs.
    """

    name: str
    kind: Literal["own", "taken_part", "rehearsal"]
    in_database: bool
    reason: str | None


class ErasureView(View):
    """How far an erasure has come: `completed_at` is null while something waits; `waiting` are the first 50 of it."""

    person: str
    erased_at: Shown
    erased_by: str
    completed_at: Shown | None
    waiting_count: int
    waiting: list[ErasureItemView]

    @classmethod
    def of(cls, state: ErasureState) -> ErasureView:
        """Show an erasure."""
        return cls(
            person=shown(state.person),
            erased_at=state.erased_at,
            erased_by=state.erased_by,
            completed_at=state.completed_at,
            waiting_count=state.waiting_count,
            waiting=[
                ErasureItemView(name=one.name, kind=one.kind, in_database=one.in_database, reason=one.reason)
                for one in state.waiting
            ],
        )
