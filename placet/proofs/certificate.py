"""The certificate of a blueprint without errors: the statements that were proven, bound to the blueprint's digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

CHECKER_VERSION = "4"  # raised whenever a check is added or decides otherwise

PROVEN = (
    "every node is reachable from the trigger",
    "from every node an end is reachable",
    "every loop counts its rounds and ends at a bound; rounds of changes are bounded by settings.max_rounds",
    "at every decision, for every input that can reach it, exactly one branch is taken",
    "every branch is taken by some input",
    "every condition, and every value that a node computes, can be evaluated for every input that can reach it",
    "what pure actions compute, and what sub-processes are given, keeps the variables' declarations for every input",
    "what is passed to known actions and sub-processes, and taken from them, has the types that are declared",
    "no quorum asks for more seats than the declared approvers can fill",
    "every escalation chain is finite and leads to somebody else",
)
PROVEN_BY_A_DIRECTORY = ("for everyone in the directory as it was, it is known whether the seats of every stage fill",)
ASSUMED = (
    "people decide as the process declares: operators neither extend deadlines nor cancel",
    "times are working hours of the process's calendar, without the time a requester takes for changes",
    "an outside event that leaves out what its way on needs is refused, as one whose values do not fit",
    "the engine continues a run as new at 4,096 events, and carries 2,000,000 bytes in one payload",
    "a request's input has at most 1,000,000 bytes, a comment 10,000, and a stage of roles or groups 20 seats",
    "what is computed has at most 100 digits, 100,000 characters or 10,000 items, and takes at most 250,000 steps",
    "moments lie in the years 1 to 9999 in every time zone",
    "where a warning says so: branches to the same node overlap, optional values are absent, numbers exceed 64 bits",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Say what was proven of exactly the blueprint with this digest (`placet.plan.plan.digest`).

    `totals` are JSON values: worst-case times in working hours, counts, the engine budget; `assumed` lists in words
    what the proofs rest on. `complete` is false where some proof was given up: a `not_proven` warning says which.
    """

    digest: str
    name: str
    version: str
    checker: str = CHECKER_VERSION
    solver: str = field(default_factory=lambda: f"z3 {version('z3-solver')}")
    complete: bool = True
    proven: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    totals: dict[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Return the certificate as JSON values, as it is kept with the version."""
        return {
            "digest": self.digest,
            "name": self.name,
            "version": self.version,
            "checker": self.checker,
            "solver": self.solver,
            "complete": self.complete,
            "proven": list(self.proven),
            "assumed": list(self.assumed),
            "totals": self.totals,
        }
