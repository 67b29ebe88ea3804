"""Administrative acts, as the API shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict

from api.schemas.common import Shown, View
from placet.audit.admin_acts import Outcome, Way
from storage.tables.admin_acts import AdminAct


class AdminActView(View):
    """One act: who changed what, when, in which way, and what came of it. `hash` ties it to the act before it."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "seq": 12,
                    "at": "2026-08-03T09:12:44.120000Z",
                    "kind": "token_made",
                    "actor": "user:adam",
                    "actor_type": "person",
                    "way": "page",
                    "target": "token:4f0c1d2e3a4b5c6d",
                    "outcome": "done",
                    "detail": {"person": "bot", "scopes": ["requester"], "expires_at": None},
                    "hash": "5d41402abc4b2a76b9719d911017c592ae2c3f6f8a0f6a7b7e9f3d1c2b4a5968",
                }
            ]
        },
    )

    seq: int
    at: Shown
    kind: str
    actor: str
    actor_type: Literal["person", "service", "agent", "operator", "system"]
    way: Way
    target: str
    outcome: Outcome
    detail: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, row: AdminAct) -> AdminActView:
        """Show an act."""
        return cls(**row.model_dump())
