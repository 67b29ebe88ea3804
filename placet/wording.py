"""Wording: what pydantic found wrong with a document, as a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By pydantic's kind of fault, whose context fills in the rest.
_SENTENCES = {
    "missing": "this is required; add it",
    "extra_forbidden": "there is no such field here; mend its name, or remove it",
    "model_type": "an object is needed here; write one",
    "model_attributes_type": "an object is needed here; write one",
    "dataclass_type": "an object is needed here; write one",
    "dict_type": "an object is needed here; write one",
    "list_type": "a list is needed here; write one",
    "tuple_type": "a list is needed here; write one",
    "string_type": "text is needed here; write it in quotes",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "a whole number is needed here; write one",
    "int_parsing": "a whole number is needed here; write one",
    "int_from_float": "a whole number is needed here; write one",
    "float_type": "a number is needed here; write one",
    "float_parsing": "a number is needed here; write one",
    "string_too_short": "write at least {min_length} characters",
    "string_too_long": "write at most {max_length} characters",
    "too_short": "list at least {min_length}, and not {actual_length}",
    "too_long": "list at most {max_length}",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number of at least {ge}",
    "less_than": "write a number below {lt}",
    "less_than_equal": "write a number of at most {le}",
    "literal_error": "write {expected}",
    "union_tag_invalid": "{tag!r} is none of {expected_tags}; write one of them",
    "union_tag_not_found": "say which it is by {discriminator}",
}


def sentence_of(fault: Mapping[str, Any]) -> str:
    """Return the sentence for one of pydantic's errors, `fault`, whose context has not been left out."""
    known = _SENTENCES.get(fault["type"])
    if known is not None:
        try:
            return known.format(**fault.get("ctx", {}))
        except (KeyError, ValueError):  # a context of another shape than we know
            pass
    return str(fault["msg"]).removeprefix("Value error, ")
