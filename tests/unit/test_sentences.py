"""Messages in other languages: every refusal, finding and reason of the code has a German text with the same places."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from fastapi.exceptions import RequestValidationError

from api.http.problems import validation_problem
from languages.catalogues import say_in
from placet import errors
from placet.audit.reasons import WORDS, because, words
from placet.definition import validation_messages
from placet.definition.json_schema import validation
from placet.definition.json_schema.validation import value_problems
from placet.definition.variables import Variable, normalise_input
from placet.errors import AlreadyDecided, InputInvalid, LinkRefused, PlacetError, Problem, Refused
from placet.json_text import read_json
from placet.sentences import Sentence, described, figure, joined, read_sentence, sentence, share, translated
from workflows.failures import as_error, as_failure

ROOT = Path(__file__).parents[2]
ROOMS = ("placet", "service", "storage", "simulation", "insight", "workflows", "activities")
# Other rooms speak to operators and the log.
TOLD_TO_READERS = ("placet/", "service/", "simulation/", "insight/", "storage/queries/")
VALIDATED = ("placet/definition/", "placet/nodes/")  # where pydantic makes problems of a ValueError
LEFT_OUT = ("storage/migrations",)  # which speak to nobody
# What the import of a BPMN or DMN file says of an element, and why it refuses one.
IMPORTED = {"mapped", "assumed", "lost", "lose_inside", "Unclear", "_refuse", "refuse"}
# What the reading of an event log refuses; the place is always the file.
IMPORTED |= {"in_file"}
_PLACES = re.compile(r"\{\w+(?:![rs])?(?::[^}]*)?\}")
# Words that stand in sentences as values, and names of links: they are translated where they are found.
VALUES = {
    "approved", "rejected", "expired", "withdrawn", "cancelled", "completed", "failed", "timeout", "pending",
    "an object", "a list", "a string", "a whole number", "a decimal number", "true or false",
    "a date such as 2026-01-31",
    "a moment such as 2026-01-31T09:00:00Z", "a boolean", "a number", "null", "items", "characters", "(erased)", "yes",
    "no", "(nothing)", "Approve", "Reject", "critical", "warning", "breach", "approve", "reject", "request_changes",
    "abstain", "published", "draft", "deprecated", "submitted", "discarded", "open", "the body", "promoted", "reverted",
}  # fmt: skip

_OF_ONE_FIELD = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}


def calls(tree: ast.Module, *, valued: bool) -> Iterator[tuple[ast.expr, ast.AST | None]]:
    """Yield what refusals, problems and findings are made of, each with the function that it is in."""
    inside: dict[ast.AST, ast.AST | None] = {tree: None}
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            inside[child] = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else inside[node]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
        if name == "sentence" and node.args:
            yield node.args[0], None
        elif (_is_error(name) or (valued and name == "ValueError")) and node.args:
            yield node.args[0], inside[node]
        elif name == "at" and isinstance(called, ast.Attribute) and _is_error(getattr(called.value, "id", "")):
            yield from ((one, inside[node]) for one in node.args[1:2])
        elif name == "Problem":
            yield from ((one.value, inside[node]) for one in node.keywords if one.arg == "message")
        elif name in {"error", "warning", "_reason"} and isinstance(called, ast.Name) and len(node.args) > 2:
            yield node.args[2], inside[node]
        elif name in IMPORTED and node.args:
            yield node.args[-1], inside[node]


def _is_error(name: str) -> bool:
    kind = getattr(errors, name, None)
    return isinstance(kind, type) and issubclass(kind, PlacetError) and kind is not LinkRefused  # which has a code


def ends(made: ast.expr, function: ast.AST | None) -> Iterator[ast.expr]:
    """Yield the texts that a message can be, through conditions and names that are assigned in the same function."""
    if isinstance(made, ast.IfExp):
        yield from ends(made.body, function)
        yield from ends(made.orelse, function)
    elif isinstance(made, ast.Call) and getattr(made.func, "id", "") == "shortened":
        yield from ends(made.args[0], function)
    elif isinstance(made, ast.Name) and function is not None:
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign) or isinstance(node.value, ast.Name):
                continue
            for target, value in _assigned(node):
                if isinstance(target, ast.Name) and target.id == made.id:
                    yield from ends(value, function)
    else:
        yield made


def _assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield each target of an assignment with its value, also of several at once."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value


def messages() -> Iterator[tuple[str, ast.expr]]:
    """Yield the place and the text of every message."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            place = str(file.relative_to(ROOT))
            if not place.startswith(LEFT_OUT):
                for made, function in calls(ast.parse(file.read_text()), valued=place.startswith(VALIDATED)):
                    yield from ((f"{place}:{one.lineno}", one) for one in ends(made, function))


def sources() -> set[str]:
    found = {one.value for _, one in messages() if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PlacetError)]
    found |= {errors.says(kind) for kind in kinds}
    forms = (*validation_messages._SENTENCES.values(), *validation_messages._FORMS.values())
    return found | {*WORDS.values(), *validation.FAULTS.values(), *forms, validation_messages._OF_NO_FORM} | VALUES


def test_every_message_has_a_german_text_with_the_same_places() -> None:
    with (ROOT / "languages/locales/de/LC_MESSAGES/messages.po").open("rb") as file:
        german = {str(one.id): str(one.string) for one in read_po(file, locale="de") if one.id}
    assert sorted(sources() - german.keys()) == []
    assert sorted(german.keys() - sources()) == []
    for english, text in german.items():
        assert text, english
        assert set(_PLACES.findall(text)) == set(_PLACES.findall(english)), english


def glued(made: ast.expr) -> bool:
    """Whether a text is put together of values anywhere but in a sentence, which knows its parts."""
    if isinstance(made, ast.Call) and getattr(made.func, "id", "").lower() == "sentence":
        return False
    return isinstance(made, ast.JoinedStr) or any(
        glued(one) for one in ast.iter_child_nodes(made) if isinstance(one, ast.expr)
    )


def test_no_message_is_made_of_values_that_no_other_language_can_take_apart() -> None:
    made = [place for place, made in messages() if glued(made)]
    assert [place for place in made if place.startswith(TOLD_TO_READERS)] == []


def test_a_sentence_is_its_english_text_and_can_be_said_in_german_with_what_is_inside_it() -> None:
    inner = sentence("there is no active person {person!r}; give the id of one", person="mo")
    outer = InputInvalid.at("/to", inner)
    assert outer.message == "/to: there is no active person 'mo'; give the id of one"
    assert translated(outer.message, say_in("de")) == (
        "/to: es gibt keine aktive Person 'mo'; geben Sie die Kennung einer anderen an"
    )
    assert translated(outer.message, say_in("en")) == outer.message


def test_figures_in_a_sentence_are_written_as_its_language_writes_them_also_once_they_were_stored() -> None:
    source = (
        "{person} decided {count} tasks of stage {stage!r}, {share} of all among {people} people; they waited "
        "{own} hours at the median, those of the others {others}."
    )
    said = sentence(
        source, person="mo", count=1234, stage="A.b", share=share(0.125), people=3, own=figure(1234.5), others=figure(2)
    )
    assert said == (
        "mo decided 1234 tasks of stage 'A.b', 12.5% of all among 3 people; they waited 1234.5 hours at the median, "
        "those of the others 2.0."
    )
    for one in (said, read_sentence(described(said), said)):
        german = translated(one, say_in("de"))
        assert "12,5\xa0%" in german
        assert "1234,5 Stunden" in german
        assert "'A.b'" in german
    assert "100\xa0%" in translated(share(1, exact=False), say_in("de"))
    many = sentence("every {step}th of {cases:,} cases was looked at", step=2, cases=12345)
    assert "12,345" in many
    assert "12.345" in translated(many, say_in("de"))


@pytest.mark.parametrize(
    ("body", "english", "german"),
    [
        (b'{"a": 1, "a": 2}', "'a' is given twice; remove one of the two.", "'a' ist zweimal angegeben;"),
        (b"\xff", "The body is not UTF-8 (byte 0); encode it as UTF-8.", "der Inhalt ist kein UTF-8 (Byte 0);"),
    ],
)
def test_what_is_wrong_with_a_body_can_be_said_in_german_in_one_line(body: bytes, english: str, german: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        read_json(body)
    assert refused.value.message == english
    assert translated(refused.value.message, say_in("de")).startswith(german)


def test_the_faults_of_a_call_can_be_said_in_german_in_one_line() -> None:
    fault = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}
    below = {"type": "greater_than_equal", "loc": ("query", "page"), "ctx": {"ge": 1}, "msg": "", "input": "0"}
    told = [validation_problem(RequestValidationError([one]))["detail"] for one in (fault, below)]
    assert told[1] == "/page: write a number of at least 1"
    german = [translated(one, say_in("de")) for one in told]
    assert german[0].startswith("der Inhalt: ")
    assert german[1] == "/page: " + translated(sentence("write a number of at least {ge}", ge=1), say_in("de"))
    assert not set(german) & set(told)


def test_the_first_of_several_faults_says_in_german_how_many_more_there_are() -> None:
    declared = [Variable.model_validate({"name": name, "type": "integer", "required": True}) for name in ("a", "b")]
    with pytest.raises(InputInvalid) as refused:
        normalise_input(declared, {})
    german = translated(refused.value.message, say_in("de"))
    assert refused.value.message.endswith(" (and 1 more)")
    assert german.endswith(" (und 1 weitere)"), german


def test_what_has_no_translation_stays_and_what_people_wrote_is_not_looked_into() -> None:
    odd = sentence("{what} is odd: {cause}", what="{person}", cause=sentence("Nobody decides their own request."))
    assert translated(odd, say_in("de")) == "{person} is odd: Niemand entscheidet über den eigenen Antrag."
    assert translated("", say_in("de")) == ""


def test_texts_together_can_be_said_in_german_each() -> None:
    both = sentence("this condition") + sentence(" Whoever decided may undo it until {until}.", until="noon")
    assert translated(both, say_in("de")) == "diese Bedingung Wer entschieden hat, kann es bis noon rückgängig machen."
    listed = joined(", ", [sentence("at {moment}", moment="noon"), "x"])
    assert (listed, translated(listed, say_in("de"))) == ("at noon, x", "um noon, x")


@pytest.mark.parametrize("text", [words(because("left", person="mo")), sentence("at {moment}", moment="noon"), "plain"])
def test_a_sentence_is_the_same_after_a_process_and_after_json(text: str) -> None:
    copies = (pickle.loads(pickle.dumps(text)), read_sentence(described(text), str(text)))
    for copy in copies:
        assert copy == text
        assert translated(copy, say_in("de")) == translated(text, say_in("de"))


@pytest.mark.parametrize("given", [None, "x", {"source": "a"}, {"source": "{x.__class__}", "values": {"x": 1}}])
def test_a_failure_of_another_version_or_a_forged_one_is_told_in_its_own_words(given: object) -> None:
    read = read_sentence(given, "what it says")
    assert (read, type(read)) == ("what it says", str)


def test_a_refusal_comes_through_the_engine_with_its_parts() -> None:
    problem = Problem(pointer="/comment", message=sentence("write at most {longest_text} characters", longest_text=9))
    told = sentence("Stage {name!r} asks for no form.", name="CFO")
    left = because("left", person="mo")
    for error in (Refused(told, problems=(problem,)), AlreadyDecided(told), Refused(reason=left)):
        back = as_error(as_failure(error))
        assert back is not None
        assert (type(back), back.message) == (type(error), error.message)
        assert translated(back.message, say_in("de")) == translated(error.message, say_in("de")) != error.message
    refused = as_error(as_failure(Refused(told, problems=(problem,))))
    assert refused is not None
    assert translated(refused.problems[0].message, say_in("de")) == "schreiben Sie höchstens 9 Zeichen"


@pytest.mark.parametrize(
    ("schema", "value", "german"),
    [
        ({"type": "integer"}, "x", "das ist nicht vom Typ integer"),
        ({"type": "object", "required": ["why"]}, {}, "das Feld why ist nötig"),
        ({"minLength": 3}, "x", "mindestens 3 Zeichen sind nötig"),
        ({"maximum": 5}, 7, "höchstens 5 ist erlaubt"),
        ({"enum": ["a", "b"]}, "c", "das ist keines von a, b"),
        ({"pattern": "^a"}, "b", "der Text passt nicht zu ^a"),
        ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, "x", "das muss zu genau einem von dem passen"),
        (_OF_ONE_FIELD, {"x": 1}, "es gibt Felder, die das Schema nicht kennt: x"),
        ({"uniqueItems": True}, [1, 1], "jeder Eintrag darf einmal vorkommen"),
    ],
)
def test_a_form_that_breaks_its_schema_is_told_in_german_by_keyword(
    schema: dict[str, object], value: object, german: str
) -> None:
    (problem,) = value_problems(schema, value, "/form")
    assert translated(problem.message, say_in("de")).startswith(german)
    assert isinstance(problem.message, Sentence)
    assert problem.message != german, "the API keeps the library's English"
