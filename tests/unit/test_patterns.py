"""Patterns match what they say, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placet.definition.patterns import PatternInvalid, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "matched", "unmatched"),
    [
        ("b", ["abc"], ["ac"]),  # anywhere
        ("^a{2}$", ["aa"], ["a", "aaa"]),  # exactly
        ("^a{2,}$", ["aa", "aaaaa"], ["a"]),  # at least
        ("^a{1,3}$", ["a", "aaa"], ["", "aaaa"]),  # between
        ("^(ab|c){2}$", ["abc", "cab", "cc"], ["ab", "abab" * 2]),  # a group again
        ("^a?b*c+$", ["c", "abbcc"], ["ab", "aac"]),  # the three signs
        ("^[a-c_-]+$", ["a-b_c"], ["d", ""]),  # a class with a literal hyphen
        ("^[]x]$", ["]", "x"], ["[", ""]),  # a bracket that comes first is literal
        (r"^[^\d\s]+$", ["ab"], ["a1", "a b"]),  # a class of what is not
        (r"^\w\W$", ["a-", "_ "], ["ab", "é-"]),  # ASCII words
        (r"^\$\.\\$", ["$.\\"], ["$a\\"]),  # escapes
        ("^$", [""], ["a", "\n"]),  # the ends of the text, not of a line
        ("^.$", ["a", "ü", "😀"], ["\n", "ab"]),  # any character but a line feed
        ("a|^b$|", ["", "x"], []),  # an empty alternative
        ("(a*)*$", ["", "aab"], []),  # loops over nothing
    ],
)
def test_a_pattern_matches_what_it_says(pattern: str, matched: list[str], unmatched: list[str]) -> None:
    compiled = compile_pattern(pattern)
    assert [text for text in matched if not compiled.search(text)] == []
    assert [text for text in unmatched if compiled.search(text)] == []


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(a", "character 3: a ) is missing"),
        ("a)", "character 2: this ) closes nothing"),
        ("*a", "nothing to repeat"),
        ("a**", "cannot be repeated"),
        ("a{2", "ends too early"),
        ("a{3,2}", "write a repetition as"),
        ("[b-a]", "runs backwards"),
        ("[a", "ends too early"),
        ("a\\", "ends too early"),
        (r"(a)\1", "not supported"),  # no back-references: they are not linear
        ("(?=a)", "(?:...)"),  # nor look-around
        (r"\bfoo", "not supported"),
        ("((a{1,99}){1,99}){1,99}", "too large"),  # a bomb once written out
        ("(" * 30 + ")" * 30, "20 groups"),
        ("a" * 501, "500 characters"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(PatternInvalid, match=re.escape(words)):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(a*)*b", "^(a?){30}a{30}$"])
def test_a_pattern_that_backtracks_for_years_elsewhere_takes_no_time(pattern: str) -> None:
    begin = time.process_time()
    assert not compile_pattern(pattern).search("a" * 5_000 + "!")
    assert time.process_time() - begin < 10


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"[\Da]", "(a|b)", "(?:ab)", "()", r"\.", "[a-c1-]"])
pieces = st.tuples(atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,2}", "{0}", "*?"])).map("".join)
patterns = st.recursive(
    st.lists(pieces, max_size=4).map("".join),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})*") | inner.map("^{}$".format)
    ),
    max_leaves=4,
)


@given(patterns, st.text(alphabet="abc1.-", max_size=8))
def test_a_pattern_matches_what_pythons_own_matches(pattern: str, text: str) -> None:
    assert compile_pattern(pattern).search(text) is (re.search(pattern, text, re.ASCII) is not None)


@given(st.text(alphabet="ab()[]{}*+?|^$\\.,0-9dw", max_size=20), st.text(max_size=10))
def test_a_pattern_is_used_or_refused(pattern: str, text: str) -> None:
    try:
        found = compile_pattern(pattern).search(text)
    except PatternInvalid:
        found = False
    assert found in {True, False}
