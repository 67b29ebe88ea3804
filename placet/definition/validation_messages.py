"""Sentences for pydantic's validation errors, which say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from placet.sentences import Sentence, sentence

_MOMENT = "write a moment with its offset from UTC, such as 2026-01-31T09:00:00Z"
_DAY = "write a date, such as 2026-01-31"
# By pydantic's kind of fault, whose context fills in the rest.
_SENTENCES = {
    "missing": "this is required; add it",
    "extra_forbidden": "there is no such field here; correct its name, or remove it",
    "model_type": "an object is needed here; write one",
    "model_attributes_type": "an object is needed here; write one",
    "dataclass_type": "an object is needed here; write one",
    "dict_type": "an object is needed here; write one",
    "list_type": "a list is needed here; write one",
    "tuple_type": "a list is needed here; write one",
    "string_type": "text is needed here; write it in quotes",
    "string_unicode": "text is needed here; write it in quotes",
    "none_required": "nothing may stand here; write null, or leave it out",
    "set_type": "a list is needed here; write one",
    "frozen_set_type": "a list is needed here; write one",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": "a whole number is needed here; write one",
    "int_parsing": "a whole number is needed here; write one",
    "int_from_float": "a whole number is needed here; write one",
    "int_parsing_size": "this number has too many digits; write a smaller one",
    "float_type": "a number is needed here; write one",
    "float_parsing": "a number is needed here; write one",
    "finite_number": "a number is needed here; write one",
    "decimal_type": "a number is needed here; write one",
    "decimal_parsing": "a number is needed here; write one",
    "decimal_max_digits": "write a number of at most {max_digits} digits",
    "decimal_max_places": "write a number with at most {decimal_places} digits after the point",
    "decimal_whole_digits": "write a number with at most {whole_digits} digits before the point",
    "multiple_of": "write a multiple of {multiple_of}",
    "timezone_aware": _MOMENT,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "date_type": _DAY,
    "date_parsing": _DAY,
    "date_from_datetime_parsing": _DAY,
    "date_from_datetime_inexact": _DAY,
    "string_too_short": "write at least {min_length} characters",
    "string_too_long": "write at most {max_length} characters",
    "too_short": "list at least {min_length}, and not {actual_length}",
    "too_long": "list at most {max_length}",
    "greater_than": "write a number above {gt}",
    "greater_than_equal": "write a number of at least {ge}",
    "less_than": "write a number below {lt}",
    "less_than_equal": "write a number of at most {le}",
    "literal_error": "write {expected}",
    "enum": "write {expected}",
    "union_tag_invalid": "{tag!r} is none of {expected_tags}; write one of them",
    "union_tag_not_found": "say which it is by {discriminator}",
}


# What texts that have to be of a form look like, by the pattern that they have to match.
_FORMS = {
    r"^[a-z][a-z0-9_]*$": "small letters a to z, digits and underscores, beginning with a letter, such as approved",
    r"\A[A-Za-z_][A-Za-z0-9_]{0,63}\z": "a name of letters A to Z, digits and underscores, that begins with no digit, "
    "of at most 64 characters, such as unit_price",
    r"\A[A-Z]{3}\z": "the three capital letters of a currency (ISO 4217), such as EUR",
    r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$": "a name of letters A to Z, digits, underscores, points and hyphens, that begins "
    "with a letter, of at most 100 characters, such as check_stock",
    r"^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}$": "a name of letters A to Z, digits and the signs _ . @ + -, that begins "
    "with a letter or a digit, of at most 128 characters, such as department_head",
    r"^[^@\s]+@[^@\s]+$": "an address such as mia@example.com",
}


_OF_NO_FORM = "this text is not of the form that is needed here"


def sentence_of(fault: Mapping[str, Any]) -> str:
    """Return the sentence for one of pydantic's errors, `fault`, whose context has not been left out."""
    if fault["type"] == "string_pattern_mismatch":
        form = _FORMS.get(str(fault.get("ctx", {}).get("pattern")))
        return sentence("write {form}", form=Sentence(form, {}, form)) if form is not None else _OF_NO_FORM
    known = _SENTENCES.get(fault["type"])
    if known is not None:
        try:
            return _known(known, fault.get("ctx", {}))
        except (KeyError, ValueError):  # a context of another shape than we know
            pass
    refused = fault.get("ctx", {}).get("error")  # what a validator of ours has raised
    said = refused.args[0] if isinstance(refused, ValueError) and refused.args else None
    return said if isinstance(said, Sentence) else str(fault["msg"]).removeprefix("Value error, ")


def _known(source: str, values: Mapping[str, Any]) -> Sentence:
    """Return the sentence with those values that it names; raises KeyError where one is not there."""
    names = [name for _, name, _, _ in Formatter().parse(source) if name is not None]
    return Sentence(source, {name: values[name] for name in names})
