"""Recorded values: what the audit chain holds of JSON values, and these values as they were sent.

An entry has no floats: it holds fractions as text, and whole numbers beyond 2^53 as well (placet.audit.chain). Whether
a text was a number is told by what was asked for: where a text does not fit and its number does, it was the number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain, combinations, islice
from typing import Any

from placet.audit.chain import exact
from placet.definition.json_schema.forms import check_form
from placet.definition.variables import Variable, normalise_input
from placet.errors import InputInvalid
from placet.json_pointer import pointer_to

_MOST_TRIED = 256  # choices of which texts are numbers, where a whole object or list does not fit
_LONGEST_NUMBER = 400  # characters; a float has fewer


def as_recorded(value: Any) -> Any:
    """Return JSON values as an audit entry holds them: a float as a whole number or as text, long numbers as text."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Mapping):
        return {str(name): as_recorded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_recorded(inner) for inner in value]
    return exact(value)


def form_as_sent(schema: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded form as it was sent; one that does not fit the schema then either is refused by the core."""

    def faults(form: Any) -> set[str]:
        try:
            check_form(schema, form)
        except InputInvalid as error:
            return {problem.pointer.removeprefix("/form") for problem in error.problems}
        return set()

    return dict(_as_sent(recorded, faults))


def values_as_sent(variables: Sequence[Variable], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded values of variables as they were sent."""

    def faults(values: Any) -> set[str]:
        try:
            normalise_input(variables, values, pointer="")
        except InputInvalid as error:
            return {problem.pointer for problem in error.problems}
        return set()

    return dict(_as_sent(recorded, faults))


def _as_sent(recorded: Any, faults: Callable[[Any], set[str]]) -> Any:
    """Return a value with a number in the place of each text that fits only as one.

    `faults` gives the JSON Pointers of the places where a value does not fit.
    """
    value, numbers = recorded, dict(_numbers(recorded, ""))
    while numbers and (places := faults(value)):
        chosen: Collection[str] = numbers.keys() & places or _chosen_inside(value, numbers, places, faults)
        if not chosen:
            break
        value = _with_numbers(value, {place: numbers.pop(place) for place in tuple(chosen)}, "")
    return value


def _chosen_inside(
    value: Any, numbers: Mapping[str, Any], places: set[str], faults: Callable[[Any], set[str]]
) -> Sequence[str]:
    """Choose the fewest texts inside of one place that have to be numbers for it to fit, as one of several schemas."""
    for place in sorted(places):
        inside = [inner for inner in numbers if inner.startswith(f"{place}/")]
        some = chain.from_iterable(combinations(inside, count) for count in range(1, len(inside)))
        for chosen in chain(islice(some, _MOST_TRIED), [tuple(inside)]):
            if place not in faults(_with_numbers(value, {inner: numbers[inner] for inner in chosen}, "")):
                return chosen
    return ()


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """Generate the places of the texts that may have been numbers, and these."""
    if isinstance(value, str):
        number = _number(value)
        if number is not None:
            yield place, number
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, pointer_to(place, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _numbers(inner, pointer_to(place, index))


def _number(text: str) -> float | None:
    """Return the number that an entry holds as this text; None where there is none."""
    if len(text) > _LONGEST_NUMBER:
        return None
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number) and as_recorded(number) == text:
            return number
    return None


def _with_numbers(value: Any, numbers: Mapping[str, Any], place: str) -> Any:
    if place in numbers:
        return numbers[place]
    if isinstance(value, Mapping):
        return {name: _with_numbers(inner, numbers, pointer_to(place, name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(inner, numbers, pointer_to(place, index)) for index, inner in enumerate(value)]
    return value
