"""Upgrades: what was sent or kept in an older format, as it reads in the current one.

A run that began before there were formats carries on by the rules that it began with: an approval outlives a change
(`on_change: "stage"`), and its entries keep their form (`State.format` stays 1).
"""

from __future__ import annotations

from dataclasses import replace

from placet.definition.formats import ON_CHANGE
from placet.engine.content import content_digest
from placet.engine.state import State
from placet.frozen import evolve
from placet.plan.plan import Plan


def upgraded_plan(plan: Plan) -> Plan:
    """Return the plan with everything said that its format left unsaid."""
    return plan if plan.on_change is not None else replace(plan, on_change=ON_CHANGE[plan.format])


def upgraded_state(plan: Plan, state: State) -> State:
    """Return the state with its content: what the requester gave cannot be told from what the process set."""
    if state.given is not None:
        return state
    digest = content_digest(plan, state.title, state.input)
    return evolve(
        state,
        given=state.input,
        content_digest=digest,
        tasks=tuple(evolve(task, content_digest=digest) for task in state.tasks),
    )
