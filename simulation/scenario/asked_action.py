"""The action of a simulated request: what a machine asks for, with a time to claim it in virtual time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from placet.definition.fields import Hours, Model
from placet.engine.bound_action import BoundAction, bound_action, check_action

_Name = Annotated[str, Field(min_length=1, max_length=500)]


class AskedAction(Model):
    """An action as a spec has it. It can be claimed for so many hours from the start of the simulated request."""

    type: _Name
    target: _Name
    parameters: dict[str, Any] = Field(default_factory=dict)
    expires_after_hours: Hours = 24.0

    def bound(self, start: datetime) -> BoundAction:
        """Return the action of a request that starts then; raises InputInvalid for what nobody can approve exactly."""
        action = bound_action(
            kind=self.type,
            target=self.target,
            parameters=self.parameters,
            expires_at=start + timedelta(hours=self.expires_after_hours),
            at="/action",
        )
        check_action(action, "/action", now=start)
        return action
