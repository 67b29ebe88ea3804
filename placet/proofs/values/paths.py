"""Paths: what is known of the variables of a request that has come to a node."""

from __future__ import annotations

from dataclasses import dataclass, replace

from placet.proofs.solver.symbols import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCondition:
    """The condition on an input to reach a node: several terms, each with the variables that it is about.

    `computed`: the variables of which it is known what they have been computed from.
    """

    parts: tuple[tuple[Term, frozenset[str]], ...] = ()
    computed: frozenset[str] = frozenset()

    def and_also(self, other: PathCondition) -> PathCondition:
        """Return the condition that both hold."""
        return replace(self, parts=(*self.parts, *other.parts)) if other.parts else self

    @property
    def names(self) -> frozenset[str]:
        """Return all variables that this is about."""
        return frozenset(name for _, names in self.parts for name in names)

    def forgetting(self, changed: frozenset[str]) -> PathCondition:
        """Return what still has to hold once these variables may have other values."""
        return replace(self, parts=tuple((term, names) for term, names in self.parts if not names & changed))
