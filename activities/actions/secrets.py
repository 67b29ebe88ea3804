"""Secrets by reference: `{"secret": "NAME"}` in an action's config stands for PLACET_SECRET_NAME, in the activity only.

References in an action's input are left as they are: input comes from whoever makes a request, and must not choose
which secret goes where.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from activities.actions.executor import ActionFailed

SECRET_REFERENCE: dict[str, Any] = {
    "type": "object",
    "properties": {"secret": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,80}$"}},
    "required": ["secret"],
    "additionalProperties": False,
}
"""The JSON Schema of a reference."""

_PREFIX = "PLACET_SECRET_"
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,80}")
_HIDDEN = "(secret)"
_SHORTEST = 4  # characters; anything shorter would hide half of every text


def reference(value: Any) -> str | None:
    """Return the name that a value refers to, or None where it is no reference."""
    if isinstance(value, Mapping) and set(value) == {"secret"} and isinstance(value["secret"], str):
        return value["secret"]
    return None


def references(value: Any) -> Iterator[str]:
    """Find every secret that a JSON value refers to."""
    name = reference(value)
    if name is not None:
        yield name
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references(inner)


class SecretResolver:
    """The secrets of one attempt: put in where they are referred to, and taken out of whatever comes back."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._used: set[str] = set()

    def resolve(self, value: Any) -> Any:
        """Return the value with secrets in place of references; raises ActionFailed where one is not set."""
        name = reference(value)
        if name is not None:
            return self._secret(name)
        if isinstance(value, Mapping):
            return {key: self.resolve(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(inner) for inner in value]
        return value

    def hide(self, value: Any) -> Any:
        """Return the value without the secrets that were used: servers like to repeat what they were sent."""
        if isinstance(value, str):
            for secret in sorted(self._used, key=len, reverse=True):
                value = value.replace(secret, _HIDDEN)
            return value
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(inner) for inner in value]
        return value

    def _secret(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ActionFailed(f"{name[:80]!r} is no name of a secret; write capitals, digits and _", permanent=True)
        found = self._environ.get(_PREFIX + name)
        if not found:
            raise ActionFailed(f"the secret {name} is not there; set {_PREFIX}{name} where the worker runs")
        # A credential is often sent behind a word such as Bearer, and comes back without it.
        self._used |= {part for part in (found, *found.split()) if len(part) >= _SHORTEST}
        return found
