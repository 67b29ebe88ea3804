"""YAML from outside: what JSON has, with its places, and within bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from placet.yaml_text import MAX_BYTES, MAX_VALUES, NotYaml, Place, read_yaml


def test_plain_words_are_text_and_numbers_are_exact() -> None:
    text = read_yaml(b"on: yes\nat: 12:30\nday: 2026-01-31\namount: 0.10\nmany: 7\nnothing:\nright: true\nq: '7'\n")
    assert text.value == {
        "on": "yes",
        "at": "12:30",
        "day": "2026-01-31",
        "amount": Decimal("0.10"),
        "many": 7,
        "nothing": None,
        "right": True,
        "q": "7",
    }


def test_each_value_has_its_place_and_what_is_missing_that_of_its_holder() -> None:
    text = read_yaml(b"a:\n  - b: 1\n  - {c: 2}\n")
    assert text.place(("a", 0, "b")) == Place(line=2, column=8)
    assert text.place(("a", 1, "c")) == Place(line=3, column=9)
    assert text.place(("a", 1, "missing", 4)) == Place(line=3, column=5)


def test_a_named_value_stands_wherever_it_is_used() -> None:
    text = read_yaml(b"- &one {a: [1, 2]}\n- *one\n")
    assert text.value == [{"a": [1, 2]}, {"a": [1, 2]}]
    assert text.place((1, "a", 0)) == Place(line=2, column=3)


def nested_names(levels: int) -> bytes:
    """Return names that each use the one before ten times: a billion values of some lines."""
    lines = ["- &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("body", "said", "place"),
    [
        (nested_names(9), f"more than {MAX_VALUES:,} values", "5:"),
        (b"a: &a [*a]", "", "1:"),  # contains itself
        (b"[" * 50_000, "", "1:"),
        (b"- " * 50_000 + b"x", "", "1:"),
        (b"x" * (MAX_BYTES + 1), "larger than 256 KiB", "1:1"),
        (b"- x\n" * (MAX_VALUES + 1), f"more than {MAX_VALUES:,} values", ""),
        (b"a: 1\nb: 2\na: 3", "'a' is given twice", "3:1"),
        (b"a: !!python/object:os.system x", "the tag", "1:4"),
        (b"a: !x [1]", "the tag", "1:4"),
        (b"base: &b {a: 1}\nc: {<<: *b}", "merge keys", "2:5"),
        (b"--- 1\n--- 2\n", "second document", "2:1"),
        (b"a: [1", "this is no YAML", ""),
        (b"a: b: c", "this is no YAML", "1:"),
        (b"? [1]\n: x", "a name has to be text", "1:3"),
        (b"\xff", "not UTF-8", "1:1"),
        (b'a: "\\0"', "NUL", "1:4"),
        (b"a: *b", "&b", "1:4"),
    ],
)
def test_what_is_not_read_is_refused_with_its_place(body: bytes, said: str, place: str) -> None:
    with pytest.raises(NotYaml) as refused:
        read_yaml(body)
    assert said in refused.value.message
    assert str(refused.value.place).startswith(place)
