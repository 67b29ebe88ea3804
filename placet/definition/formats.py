"""Formats: the number that everything stored or sent carries, and what the numbers mean.

Format 1 is what was written before there were numbers. Format 2: a change of the request voids the approvals that it
had (`on_change: "restart"`).

Whether the entries of a request's audit chain hold codes and sealed values is no matter of the blueprint: they do where
the request began with a secret (placet.audit.sealed).

A blueprint without a number is of the current format. What was stored before is given its number by the migration
that brings a new format (storage/migrations), so that it keeps its meaning.
"""

from __future__ import annotations

from typing import Final, Literal

OnChange = Literal["restart", "stage"]

CURRENT: Final = 2
# The number of the core's own rules that a request began under, whatever its blueprint's format. 1: before there were
# numbers. 2: nobody operates their own request. 3: the directory is asked anew when a task is claimed or decided, a
# quorum counts those who are missing, and a decision says on whose behalf it is. 4: the seat that a substitute fills
# stays that of whoever is away, and is theirs again with the end of the absence; nothing changes hands while the
# request is returned.
RULES: Final = 4
# What a change of the request does to approvals where a blueprint does not say so itself, by format.
ON_CHANGE: Final[dict[int, OnChange]] = {1: "stage", 2: "restart"}
