"""Sealed values: personal and business content that the audit chain commits to and that can be erased later.

The chain hashes `{"sealed": sha256(salt + RFC 8785 of the value)}` in the place of such a value; value and salt are
kept beside it. Whoever has both can prove the value. Once they are erased, the commitment reveals nothing, and the
chain still verifies.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from placet.json_pointer import parts_of

_SEALED = "sealed"
SECRET_BYTES = 32  # of chance in a request's secret
_SALT_LENGTH = 32  # hexadecimal digits, which are 128 bits; hashed as text


@dataclass(frozen=True, slots=True)
class Sealed:
    """Mark a value of an entry as content: its hash is salted, and it can be erased."""

    value: Any


def sealed(value: Any) -> Sealed | None:
    """Mark a value as content; None stays None and is left out."""
    return None if value is None else Sealed(value)


def salt_of(secret: str, seq: int, place: str) -> str:
    """Return the salt of a value, by the request's secret, the entry and the place in its detail (a JSON Pointer).

    It is the same in every replay, and nobody who does not know the secret can compute it.
    """
    keyed = _keyed(secret).copy()
    keyed.update(f"{seq}:{place}".encode())
    return keyed.hexdigest()[:_SALT_LENGTH]


def secret_of(parent: str, request_id: str) -> str:
    """Return the secret of a sub-process request, derived from its parent's."""
    return hmac.digest(parent.encode(), request_id.encode(), "sha256").hex()


def committed(
    detail: Mapping[str, Any], salts: Mapping[str, str], canonical_json: Callable[[Any], bytes]
) -> dict[str, Any]:
    """Return the detail as it is hashed: with a commitment in the place of every value that has a salt.

    Raises LookupError, TypeError or ValueError where the place does not exist or the salt is not valid.
    """
    hashed = dict(detail)
    for place, salt in salts.items():
        # With a variable length, characters could move between salt and value without changing the hash.
        if len(salt) != _SALT_LENGTH or place[:1] != "/":
            raise ValueError(f"{salt!r} is no salt of a value at {place!r}")
        holder, name = hashed, place[1:]
        if "/" in name or "~" in name:
            *parents, name = parts_of(place)
            for part in parents:
                inner = dict(holder[part])
                holder[part] = inner
                holder = inner
        digest = hashlib.sha256(salt.encode() + canonical_json(holder[name])).hexdigest()
        holder[name] = {_SEALED: digest}
    return hashed


@lru_cache(maxsize=1024)
def _keyed(secret: str) -> hmac.HMAC:
    return hmac.new(secret.encode(), digestmod="sha256")


def erased(value: object) -> bool:
    """Say whether a value was erased, so that only its commitment is left."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get(_SEALED), str)


def without_erased(value: Any, place: str = "") -> tuple[Any, list[str]]:
    """Return JSON values with null for each erased value, and the places of these."""
    if erased(value):
        return None, [place]
    if not isinstance(value, Mapping):
        return value, []
    kept: dict[str, Any] = {}
    places: list[str] = []
    for name, inner in value.items():
        kept[name], found = without_erased(inner, f"{place}/{name}")
        places += found
    return kept, places
