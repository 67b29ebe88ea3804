"""The model of a request's cost."""

from __future__ import annotations

from api.schemas.common import View
from service.costs.request_cost import RequestCost
from simulation.report.result import json_value


class CostView(View):
    """The cost of one request, and its usage: decisions by person, runs by action, notifications. Amounts are text."""

    request_id: str
    running: bool
    currency: str
    total: str
    approvers: str
    actions: str
    delay: str
    approver_hours: str
    delay_hours: str
    decisions: dict[str, int]
    action_runs: dict[str, int]
    notices: int

    @classmethod
    def of(cls, request_id: str, found: RequestCost) -> CostView:
        """Show a request's usage and its cost."""
        used = found.used
        return cls(
            request_id=request_id,
            running=found.running,
            decisions={f"user:{person}": count for person, count in used.decisions.items()},
            action_runs=used.actions,
            notices=used.notices,
            **json_value(found.cost),
        )
