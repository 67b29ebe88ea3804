"""The certificate of a blueprint without errors: what was proven, bound to the blueprint's digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CHECKER_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Say what was proven of exactly the blueprint with this digest (`placet.plan.digest`).

    `totals` are JSON values: worst-case times in working hours, counts, the engine budget; `assumed` lists in words
    what the proofs rest on.
    """

    digest: str
    name: str
    version: str
    checker: str = CHECKER_VERSION
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
            "proven": list(self.proven),
            "assumed": list(self.assumed),
            "totals": self.totals,
        }
