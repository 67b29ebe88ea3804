"""Secrets by reference: `{"secret": "NAME"}` in an action's config stands for PLACET_SECRET_NAME, in the activity only.

PLACET_SECRET_NAME_FILE may name a file that holds it.

References in an action's input stay as they are: the author of a request must not choose which secret is sent where.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from activities.actions.executor import ActionFailed
from activities.secret_files import secret_of
from placet.errors import InputInvalid

SECRET_REFERENCE: dict[str, Any] = {
    "type": "object",
    "properties": {"secret": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,80}$"}},
    "required": ["secret"],
    "additionalProperties": False,
}
"""The JSON Schema of a reference."""

_PREFIX = "PLACET_SECRET_"
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,80}")
_NOT_FOR_ACTIONS = frozenset({"KEY", "KEY_FILE"})  # PLACET_SECRET_KEY signs tokens, links and receipts
_HIDDEN = "(secret)"
_SHORTEST = 4  # characters; hiding anything shorter would garble most texts


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
    """The secrets of one attempt: they replace their references in the config and are removed from the output."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._used: set[str] = set()

    def resolve(self, value: Any) -> Any:
        """Return the value with secrets in place of references; raises ActionFailed for a secret that is not set."""
        name = reference(value)
        if name is not None:
            return self._secret(name)
        if isinstance(value, Mapping):
            return {key: self.resolve(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.resolve(inner) for inner in value]
        return value

    def hide(self, value: Any) -> Any:
        """Return the value without the secrets that were used, since servers often repeat what they receive."""
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
            raise ActionFailed(
                f"{name[:80]!r} is not the name of a secret; use capital letters, digits and _", permanent=True
            )
        if name in _NOT_FOR_ACTIONS:
            raise ActionFailed(f"{_PREFIX}{name} is the installation's own secret; give another name", permanent=True)
        try:
            found = secret_of(self._environ, _PREFIX + name)
        except InputInvalid as error:
            raise ActionFailed(f"the secret {name} cannot be read: {error.message}") from None
        if not found:
            raise ActionFailed(f"the secret {name} is not set; set {_PREFIX}{name} for the worker")
        # A credential often follows a word such as Bearer, and a server may repeat it without that word.
        self._used |= {part for part in (found, *found.split()) if len(part) >= _SHORTEST}
        return found
