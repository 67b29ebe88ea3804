"""Signatures in a simulation: nobody has to prove anything there, and the first reason of the stage stands for any."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from placet.engine.events import Decide, Proof
from placet.plan.graph import Stage


def signed(event: Decide, stage: Stage | None, at: datetime) -> Decide:
    """Return a decision as it is signed in a stage that asks for it; another stage takes it as it is."""
    if stage is None or stage.sign is None:
        return replace(event, reason=None, proof=None)
    reason = event.reason if event.reason in stage.sign.reasons else stage.sign.reasons[0]
    return replace(event, reason=reason, proof=Proof(name=event.by.person, method="simulated", at=at))
