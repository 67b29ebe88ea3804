"""Bodies: JSON that is read exactly, and refused by its place where two readers could take it differently."""

from __future__ import annotations

from decimal import Decimal

import pytest

from placet.errors import InputInvalid
from placet.json_text import read_json


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ('{"name": "a", "name": "b"}', "/name"),
        ('{"settings": {"x": 1, "y": {"z": 1, "z": 1}}}', "/settings/y/z"),
        ('[{"a": 1}, {"a/b": 1, "a/b": 2}]', "/1/a~1b"),
    ],
)
def test_a_name_that_stands_twice_is_refused_by_its_place(body: str, pointer: str) -> None:
    with pytest.raises(InputInvalid, match="given twice") as caught:
        read_json(body.encode())
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


def test_numbers_are_read_exactly() -> None:
    assert read_json(b'{"a": 0.1, "b": 10}') == {"a": Decimal("0.1"), "b": 10}
