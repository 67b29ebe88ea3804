"""The past that a simulation draws response times from. Whoever asks for the simulation has learned it, and gives it.

Simulations and insight lie beside each other: what is learned of past tasks is made there (insight.forecast), and this
is what a simulation needs of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from placet.plan.calendar import Calendar


class ResponseTime(Protocol):
    """How long a stage's tasks wait for their decision, learned from `ended` decisions and from what is still open."""

    @property
    def ended(self) -> int:
        """How many decisions it was learned from."""
        ...

    def quantile(self, share: float) -> float:
        """Return the seconds of working time within which this share is decided; 0 is the least, and 1 is excluded."""
        ...


class Past(Protocol):
    """Past tasks of a process."""

    def response_times(self, calendar: Calendar) -> Mapping[str, ResponseTime]:
        """Return the response times of the stages that have enough decisions, by name, in a calendar's working time."""
        ...


@dataclass(frozen=True, slots=True)
class NoPast:
    """The past of a process of which nothing is known."""

    def response_times(self, calendar: Calendar) -> Mapping[str, ResponseTime]:  # noqa: ARG002 - as every past is asked
        """Return nothing."""
        return {}
