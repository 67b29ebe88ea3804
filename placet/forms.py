"""Decision forms: values that a decision must carry, described by a JSON Schema."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs
import rfc8785

from placet.errors import InputInvalid, Problem


@lru_cache(maxsize=512)
def _validator(canonical: bytes) -> Any:
    return jsonschema_rs.Draft202012Validator(canonical.decode())


def check_form(schema: dict[str, Any], form: dict[str, Any] | None) -> None:
    """Check a form against its schema; raises InputInvalid with every fault, by pointers that begin with /form."""
    problems = tuple(
        Problem(pointer="/form" + "".join(f"/{part}" for part in error.instance_path), message=error.message)
        for error in _validator(rfc8785.dumps(schema)).iter_errors(form or {})
    )
    if problems:
        raise InputInvalid("The form does not fit what this stage asks for.", problems=problems)
