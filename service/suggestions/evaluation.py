"""Evaluate a suggestion: the changed blueprint, what the proofs find in it, and how past requests would have gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from placet.errors import PlacetError
from placet.sentences import sentence
from service.context import Context
from service.definitions import prove
from service.pool.pool import ProcessPool
from service.simulations.simulator import Simulator
from service.suggestions.patching import changed
from simulation.modes.backtest import share
from simulation.report.result import json_value
from simulation.scenario.spec import parse_spec
from storage.database import Database

_KEPT: Final = ("template", "version", "rule", "totals", "seconds", "left_out", "warnings")
"""What is stored of a backtest: nothing of single requests, which not everybody may see who sees suggestions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known of a suggestion. `backtest` has an `error` where the changed blueprint cannot be simulated.

    `messages` are those of the findings, and `failure` is that error, as sentences: what both hold is plain text.
    """

    blueprint: dict[str, Any]
    findings: list[dict[str, Any]]
    backtest: dict[str, Any]
    messages: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def compared(self) -> int:
        """The number of past requests that were simulated to their end."""
        return int(self.backtest.get("totals", {}).get("known", 0))

    @property
    def same_outcome(self) -> float:
        """The lower end of the 95 % interval of the share of past requests that end as they did; 0 without any."""
        different = self.backtest.get("totals", {}).get("outcome_changed")
        if different is None:
            return 0.0
        return float(share(different["of"] - different["count"], different["of"])["low"] or 0.0)


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Evaluates suggestions with this database and this pool; no engine is needed."""

    database: Database
    pool: ProcessPool
    simulator: Simulator
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, context: Context) -> Evaluator:
        """Return the evaluator of a context."""
        return cls(database=context.database, pool=context.pool, simulator=context.simulator, clock=context.clock)

    async def evaluate(
        self,
        blueprint: Mapping[str, Any],
        patch: Any,
        *,
        by: str,
        viewer: str | None,
        limit: int,
        background: bool = False,
    ) -> Evaluation:
        """Apply a patch to a published blueprint, prove the result, and backtest it on the latest `limit` requests.

        Only requests that `viewer` may see (None: all) are simulated. Raises InputInvalid for a patch that cannot be
        applied; Busy and TooMuchWork.
        """
        document = await self.pool.run(changed, blueprint, patch, by=by, background=background)
        report = await prove(self.database, self.pool, document, now=self.clock(), by=by, background=background)
        backtest = await self._backtest(document, by=by, viewer=viewer, limit=limit)
        findings: list[dict[str, Any]] = json_value([finding.described() for finding in report.findings])
        return Evaluation(
            blueprint=document,
            findings=findings,
            backtest=backtest,
            messages=tuple(finding.message for finding in report.findings),
            failure=backtest.get("error"),
        )

    async def _backtest(
        self, document: Mapping[str, Any], *, by: str, viewer: str | None, limit: int
    ) -> dict[str, Any]:
        raw = {"mode": "backtest", "template": document["name"], "blueprint": document, "limit": limit}
        try:
            result = await self.simulator.carry_out(
                parse_spec(raw), requester=by, viewer=viewer, simulation_id="", now=self.clock()
            )
        except PlacetError as error:
            return {"template": document["name"], "error": error.message}
        except TimeoutError:
            return {"template": document["name"], "error": sentence("The backtest took too long and was stopped.")}
        return {name: result[name] for name in _KEPT if name in result}
