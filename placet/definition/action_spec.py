"""Actions as a process sees them: what the catalog says of one, frozen into the plan when a request starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from placet.frozen import stored_as

LatencyClass = Literal["instant", "fast", "medium", "slow", "very_slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """One entry of the action catalog.

    `is_idempotent` decides retries, `latency_class` timeouts and heartbeats, and `side_effects` what a simulation
    withholds. The schemas are JSON Schema 2020-12; input and output are validated against them at the boundary.
    """

    name: str
    executor: str  # which built-in (http, mail, webhook, set_variables, create_request) or entry point carries it out
    is_idempotent: bool
    latency_class: LatencyClass
    side_effects: tuple[str, ...] = ()
    accepts_key: bool = False  # takes an idempotency key, so that even a non-idempotent action may be tried again
    input_schema: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)  # of the executor: url, method, secret references
    cost: str | None = None  # price of one execution, a decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """One execution that a request asks for; `key` is unique to (request, node, visit) and the idempotency key."""

    key: str
    node: Annotated[str, stored_as("point")]
    visit: int
    action: str
    input: dict[str, Any]
