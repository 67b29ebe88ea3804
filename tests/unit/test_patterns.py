"""Patterns match what they say, in linear time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from placet.expressions.patterns import PatternInvalid, compile_pattern
from placet.proofs.solver.samples import _Walker


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


# Where engines differ: digits, spaces and letters beyond ASCII, ends of lines, letters that fold to others, the ends
# of what one or more bytes hold, and what no text of people holds.
LINES = "\t\n\r\x0b\x0c\x1c\x85\xa0\u2028\u2029"
ODD = f"aZ_9 -{LINES}٣²é\u017f\u212a\u0130\x00\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff😀\U0010ffff"
SETS = r"\d \w \s \D \W \S . [\d_] [^\d] [\D9] [^\W] [^\S\n] [\w\s] [^\w-] [^é] [!-~] [\\-\]]"
sets = st.sampled_from([*SETS.split(), "[é-\u017f]", "[\x00-\uffff]"])
odd_atoms = st.one_of(
    sets,
    st.sampled_from([*"^$", "(^|a)", "($|a)", "(?:(^)*)", "(?:($)+)", "()", "(|é)", r"\n", r"\-", r"\/"]),
    st.sampled_from(ODD).map(lambda char: rf"\{char}" if not char.isalnum() and char != "_" else char),
)
odd_pieces = st.tuples(odd_atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,2}", "{0}", "??", "{1,2}?"]))
odd_patterns = st.recursive(
    st.lists(odd_pieces.map("".join), max_size=4).map("".join),
    lambda inner: st.tuples(
        st.lists(inner, min_size=1, max_size=3).map("|".join), st.sampled_from(["", "*", "+", "{2}", "{0}"])
    ).map(lambda parts: f"({parts[0]}){parts[1]}"),
    max_leaves=4,
)


def walked(pattern: str, text: str) -> bool:
    """Match as the solver does: by walking the automaton, a character at a time."""
    walker = _Walker(compile_pattern(pattern))
    states = walker.start
    for char in text:
        states = walker.step(states, char)
    return walker.ends(states, text)


@settings(max_examples=1500)
@given(odd_patterns, st.text(alphabet=ODD, max_size=8))
@example(r"\d", "٣")
@example(r"\w", "é")
@example(r"\s", "\x0b")
@example(r"\s", "\xa0")
@example("^.$", "\r")
@example(".", "\u2028")
@example("a$", "a\n")
@example("K", "k")
def test_texts_are_matched_as_the_solver_walks_the_pattern(pattern: str, text: str) -> None:
    assert compile_pattern(pattern).search(text) is walked(pattern, text)


@given(patterns, st.text(alphabet="abc1.-", max_size=8))
def test_plain_texts_are_matched_so_too(pattern: str, text: str) -> None:
    assert compile_pattern(pattern).search(text) is walked(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^\d$", "٣", False),  # digits, words and spaces are ASCII
        (r"^\D$", "٣", True),
        (r"^\w$", "é", False),
        (r"^\W$", "é", True),
        (r"^\s$", "\xa0", False),
        ("^.$", "\r", True),  # `.` is anything but a line feed
        ("^.$", "\u2028", True),
        ("^a$", "a\n", False),  # the ends are those of the text
        ("^b", "a\nb", False),
        ("k", "K", False),  # case counts, and nothing is folded
        ("\u017f", "s", False),
        ("^.$", "😀", True),  # a character is one, whatever it takes in bytes
        ("^[^a]$", "\U0010ffff", True),
    ],
)
def test_the_meaning_is_the_one_that_is_documented_and_not_the_librarys(pattern: str, text: str, found: bool) -> None:
    assert compile_pattern(pattern).search(text) is found
    assert walked(pattern, text) is found


def test_a_pattern_of_more_memory_than_the_library_takes_is_refused() -> None:
    far_apart = "".join(chr(code) for code in range(0x10000, 0x10FFFF, 0x1000))
    assert compile_pattern(f"^[^{far_apart}]{{1,9}}$").search("a")
    with pytest.raises(PatternInvalid, match="too large once its repetitions are written out"):
        compile_pattern(f"^[^{far_apart}]{{900}}$")


def test_half_of_a_surrogate_pair_is_no_pattern() -> None:
    with pytest.raises(PatternInvalid, match="character 2: half of a surrogate pair"):
        compile_pattern("a\ud800")
    assert not compile_pattern("a").search("a\ud800")


@given(st.text(alphabet="ab()[]{}*+?|^$\\.,0-9dw", max_size=20), st.text(max_size=10))
def test_a_pattern_is_used_or_refused(pattern: str, text: str) -> None:
    try:
        found = compile_pattern(pattern).search(text)
    except PatternInvalid:
        found = False
    assert found in {True, False}
