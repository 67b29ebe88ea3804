"""Which version a canary gives a request: by a hash, so that the same request always gets the same answer.

The number of a request is uniform in [0, 1) and independent of everything about it. The first part of the share is
given the new version. The rest of it is the sample that people still decide: it is given the old one, as if there were
no canary, and counts among the requests of the old version, which it is drawn like.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

Arm = Literal["new", "old", "sample"]
"""`new` has the new version; `old` and `sample` have the old one."""
_NUMBERS: Final = 2.0**64


def number_of(canary_id: str, request_id: str) -> float:
    """Return the number of a request in a canary, from 0 to below 1."""
    digest = hashlib.sha256(f"{canary_id}:{request_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / _NUMBERS


def arm_of(canary_id: str, request_id: str, *, share: float, people_sample: float) -> Arm:
    """Return where a request belongs; `people_sample` is the part of the share that goes to people (0 to 1)."""
    number = number_of(canary_id, request_id)
    if number < chance_of_new(share, people_sample):
        return "new"
    return "sample" if number < share else "old"


def chance_of_new(share: float, people_sample: float) -> float:
    """Return the chance of a request to be given the new version."""
    return share * (1 - people_sample)
