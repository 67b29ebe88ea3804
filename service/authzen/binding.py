"""What a denial is bound to: subject, resource, action, and the part of the context that counts, in one hash.

The hash is SHA-256 over the RFC 8785 form, base64url without padding. RFC 8785 writes numbers as doubles, so that 1,
1.0 and 1e0 are one number; an absent member is not one that is null.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import rfc8785

from placet.errors import InputInvalid

MACHINERY: Final = frozenset({"access_request", "approval", "evaluation_id", "evaluated_at", "reason"})
"""Members of a context that are the profile's own."""
VOLATILE: Final = frozenset({"time"})
"""Members that differ in each call, and so are bound to nothing."""
_EXACT = 2**53


def relevant_members(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the members of a context that a denial is bound to."""
    return tuple(sorted(context.keys() - MACHINERY - VOLATILE))


def relevant(context: Mapping[str, Any], members: Collection[str]) -> dict[str, Any]:
    """Return what of a context counts; a member that is absent stays absent, and one that is null stays null."""
    return {name: context[name] for name in sorted(set(members)) if name in context}


def principal_of(subject: Mapping[str, Any]) -> dict[str, Any]:
    """Return a subject without who acts for it (`properties.act`), which a client may say elsewhere."""
    properties = subject.get("properties")
    if not isinstance(properties, Mapping) or "act" not in properties:
        return dict(subject)
    return {**subject, "properties": {name: value for name, value in properties.items() if name != "act"}}


def binding_hash(
    *,
    subject: Mapping[str, Any],
    resource: Mapping[str, Any],
    action: Mapping[str, Any],
    context: Mapping[str, Any],
    members: Collection[str],
) -> str:
    """Return the hash of one denied evaluation; raises InputInvalid for what RFC 8785 has no form for."""
    return _hash(
        {
            "subject": principal_of(subject),
            "resource": resource,
            "action": action,
            "context": relevant(context, members),
        }
    )


def bulk_binding_hash(
    *,
    subject: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    context: Mapping[str, Any],
    members: Collection[str],
) -> str:
    """Return the hash of several resources and actions together, in their order; raises as `binding_hash`."""
    bound = [{"resource": one["resource"], "action": one["action"]} for one in items]
    return _hash({"subject": principal_of(subject), "items": bound, "context": relevant(context, members)})


def _hash(document: Mapping[str, Any]) -> str:
    try:
        canonical = rfc8785.dumps(_as_doubles(document))
    except (rfc8785.CanonicalizationError, OverflowError, RecursionError) as error:
        raise InputInvalid("This cannot be bound to a denial: it holds what JSON has no one form for.") from error
    return urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()


def _as_doubles(value: Any) -> Any:
    """Return JSON values with numbers as RFC 8785 takes them: as doubles, where they are not small whole numbers."""
    if isinstance(value, Mapping):
        return {name: _as_doubles(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_doubles(one) for one in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _EXACT):
        return float(value)
    return value
