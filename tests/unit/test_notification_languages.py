"""Messages are in the reader's language: every shipped template is in each, with the same values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from jinja2 import Environment, nodes

from activities.notifications.channels.channel import Message
from activities.notifications.channels.chat import short
from activities.notifications.templates.sandbox import prepare, render
from activities.notifications.templates.template_set import (
    DIGEST,
    LAYOUT,
    TemplateSet,
    TemplateSource,
    default,
    defaults,
    preview,
)
from activities.notifications.templates.values import sample, values
from languages.catalogues import LANGUAGES, SOURCE, Language, say_in
from placet.audit.reasons import because, words
from placet.sentences import translated
from storage.queries.notifications.facts import Declared

OTHERS = [one for one in LANGUAGES if one != SOURCE]
NAMES = sorted(defaults())
PARTS = ("subject", "text", "html")
# Words that no German text has; what only looks alike (`in`, `was`, `so`) is not among them.
_ENGLISH = re.compile(
    r"\b(the|your?|has|been|have|were|is|are|and|or|not|of|to|for|from|with|by|this|that|its?|please|request|requester"
    r"|deadline|stage|process|decide|decision|asks?|asked|waits|opened|needs?|anything|more|reason|why|approve|reject"
    r"|somebody|nobody|passed|cancelled|withdrawn|answered|question|comment|sent)\b",
    re.IGNORECASE,
)


def given(event: str, language: Language = "de", **changes: Any) -> dict[str, Any]:
    links = {"approve": "https://placet.example.org/a", "reject": "https://placet.example.org/r"}
    told = values(sample(event), public_url="https://placet.example.org", links=links, language=language)
    return {**told, **changes}


def whole(name: str, language: Language) -> dict[str, Any]:
    """Return values for a template of any name, with several notices for a digest."""
    if name != DIGEST:
        return given(
            "task_opened" if name == LAYOUT else name, language, **({"content": "x"} if name == LAYOUT else {})
        )
    known = given("task_opened", language)
    notice = {"subject": "s", "text": "t", "url": None, "request": "r", "links": known["links"], "at": known["at"]}
    return known | {"request": None, "task": None, "notices": [notice, {**notice, "url": "https://x.example"}]}


def own(name: str = "task_opened", language: Language = "en", **parts: str) -> TemplateSource:
    base = {"subject": f"own {language}", "text": "t", "html": "<p>h</p>", **parts}
    return TemplateSource(name=name, version=2, language=language, **base)


def named(node: nodes.Node, inside: dict[str, str] | None = None) -> Iterator[str]:
    """Yield the values that a template names, as paths; what a loop walks over stands for its variable."""
    inside = inside or {}
    if isinstance(node, nodes.For):
        (listed,) = named(node.iter, inside)
        inside = {**inside, **{target.name: f"{listed}[]" for target in node.target.find_all(nodes.Name)}}
        if isinstance(node.target, nodes.Name):
            inside[node.target.name] = f"{listed}[]"
        yield listed
        for child in node.body:
            yield from named(child, inside)
    elif isinstance(node, nodes.Getattr):
        (of,) = named(node.node, inside)
        yield f"{of}.{node.attr}"
    elif isinstance(node, nodes.Name):
        yield inside.get(node.name, node.name)
    else:
        for child in node.iter_child_nodes():
            yield from named(child, inside)


def paths(source: TemplateSource, part: str) -> set[str]:
    return set(named(Environment(autoescape=True).parse(getattr(source, part))))


def said(source: str) -> list[str]:
    """Return what a template itself says: its texts, without markup and values."""
    tree = Environment(autoescape=True).parse(source)
    texts = [re.sub(r"<[^>]*>", " ", data.data) for data in tree.find_all(nodes.TemplateData)]
    return texts + [str(one.value) for one in tree.find_all(nodes.Const) if isinstance(one.value, str)]


@pytest.mark.parametrize("language", OTHERS)
def test_every_template_is_in_every_language(language: Language) -> None:
    assert sorted(defaults(language)) == NAMES
    assert {source.language for source in defaults(language).values()} == {language}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_all_values_of_the_english_one_and_no_others(
    language: Language, name: str, part: str
) -> None:
    assert paths(default(name, language), part) == paths(default(name), part)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_renders_with_all_values_in_each_language(language: Language, name: str) -> None:
    source = default(name, language)
    for part in PARTS:
        prepared = prepare(getattr(source, part), html=part == "html", language=language)
        assert render(prepared, whole(name, language)), part


@pytest.mark.parametrize("name", NAMES)
def test_no_english_is_left_in_the_german_templates(name: str) -> None:
    texts = [text for part in PARTS for text in said(getattr(default(name, "de"), part))]
    assert [text for text in texts if _ENGLISH.search(text)] == []


@pytest.mark.parametrize("name", sorted(defaults().keys() - {LAYOUT, DIGEST}))
def test_a_german_message_reads_in_one_line_as_text_and_as_html(name: str) -> None:
    mail = TemplateSet().compose(name, given(name), "de")
    assert (mail.problem, mail.language) == (None, "de")
    assert "\n" not in mail.subject
    assert "None" not in mail.subject + mail.text
    assert "<ada@example.org>" not in mail.html
    assert '<html lang="de">' in mail.html
    assert mail.text.startswith("Guten Tag, Grace,")


@pytest.mark.parametrize("name", sorted(defaults().keys() - {LAYOUT, DIGEST, "slo_breached", "canary_reverted"}))
def test_a_german_message_renders_where_nothing_optional_is_known(name: str) -> None:
    bare = given(name, task=None)
    bare["detail"] = dict.fromkeys(bare["detail"])
    assert TemplateSet().compose(name, bare, "de").problem is None


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "x\r\nBcc: everyone@example.org", "{{ 7 * 7 }}"])
def test_a_hostile_title_stays_a_title(title: str) -> None:
    asked = sample("task_opened")
    hostile = replace(asked, request={**(asked.request or {}), "title": title})
    mail = TemplateSet().compose("task_opened", values(hostile, public_url="https://x.example", language="de"), "de")
    assert "<script>" not in mail.html
    assert "\n" not in mail.subject
    assert "49" not in mail.subject
    assert "Bcc: everyone" not in [line[:13] for line in mail.text.splitlines()]


def test_times_durations_numbers_and_words_are_as_the_language_writes_them() -> None:
    text = TemplateSet().compose("task_opened", given("task_opened"), "de").text
    assert "Bitte entscheiden Sie bis Mi., 5. März 2025, 10:30 MEZ." in text
    assert "  Amount: 1.250,00\xa0€" in text
    assert "  Amount: €1,250.00" in TemplateSet().compose("task_opened", given("task_opened", "en")).text
    missed = TemplateSet().compose("slo_breached", given("slo_breached"), "de")
    assert missed.subject.startswith("KRITISCH: ")
    assert "Abstand: 4 Std. 3 Min. (14.600 s, 16,9 %)" in missed.text
    assert TemplateSet().compose("completed", given("completed"), "de").subject.startswith("Genehmigt: ")


@pytest.mark.parametrize(
    ("declared", "value", "german"),
    [
        (Declared("decimal"), "1234567.891", "1.234.567,891"),
        (Declared("decimal", "JPY"), "1234567", "1.234.567\xa0¥"),
        (Declared("integer"), 12345, "12.345"),
        (Declared("date"), "2026-03-31", "Di., 31. März 2026"),
        (Declared("datetime"), "2026-03-31T12:00:00Z", "Di., 31. März 2026, 14:00 MESZ"),
        (Declared("boolean"), True, "ja"),
        (Declared("string"), "1234567.891", "1234567.891"),
        (Declared("decimal"), "NaN", "NaN"),  # what is not of its type is shown as it was sent
        (Declared("decimal"), "1e999999", "1e999999"),
        (Declared("date"), "soon", "soon"),
        (None, "1234.5", "1234.5"),
    ],
)
def test_a_value_of_a_request_is_written_by_its_declared_type(
    declared: Declared | None, value: Any, german: str
) -> None:
    asked = sample("task_opened")
    request = {**(asked.request or {}), "input": {"x": value}, "variables": {} if declared is None else {"x": declared}}
    told = values(replace(asked, request=request), public_url=None, language="de")
    assert told["request"]["facts"] == [{"name": "x", "label": "X" if declared else "x", "value": german}]


def test_a_value_is_called_by_its_title() -> None:
    asked = sample("task_opened")
    titled = {"amount": Declared("decimal", "EUR", "Betrag")}
    changes = [{"field": "input.amount", "before": None, "after": "7"}]
    told = replace(asked, request={**(asked.request or {}), "variables": titled}, detail={"changes": changes})
    text = TemplateSet().compose("task_opened", values(told, public_url=None, language="de"), "de").text
    assert "Betrag: 1.250,00\xa0€" in text
    assert "- Betrag: (nichts) → 7,00\xa0€" in text


@pytest.mark.parametrize(
    ("edited", "wanted", "language", "subject"),
    [
        ([], "de", "de", "Bitte entscheiden Sie: Laptop for Ada <ada@example.org>"),
        ([], "en", "en", "Your decision, please: Laptop for Ada <ada@example.org>"),
        # What operators have written in one language alone stays as it is, for everybody.
        ([own(language="en")], "de", "en", "own en"),
        ([own(language="de")], "en", "de", "own de"),
        ([own(language="en"), own(language="de")], "de", "de", "own de"),
        # One message is in one language: the layout's, where that is in one alone.
        ([own(LAYOUT, "en", subject="[x] {{ content }}")], "de", "en", "[x] Your decision, please"),
        ([own(LAYOUT, "en"), own(LAYOUT, "de"), own(language="de")], "de", "de", "own de"),
        # Where the two agree on none, each is used as it was written.
        ([own(LAYOUT, "de", subject="[x] {{ content }}"), own(language="en")], "de", "en", "[x] own en"),
    ],
)
def test_a_message_is_in_its_readers_language_unless_operators_wrote_it_in_another_alone(
    edited: list[TemplateSource], wanted: Language, language: Language, subject: str
) -> None:
    templates = TemplateSet(edited)
    found = templates.language_for("task_opened", wanted)
    mail = templates.compose("task_opened", given("task_opened", found), found)
    assert (found, mail.language) == (language, language)
    assert mail.subject.startswith(subject)


def test_a_broken_template_is_replaced_by_the_default_of_its_language() -> None:
    mail = TemplateSet([own(language="de", text="{{ request.nothing }}")]).compose(
        "task_opened", given("task_opened"), "de"
    )
    assert mail.subject.startswith("Bitte entscheiden Sie: ")
    assert mail.problem is not None


def test_a_preview_has_the_layout_of_its_language() -> None:
    assert "Guten Tag" in preview(own(language="de"), given("task_opened")).text
    assert "Bitte entscheiden" in preview(default(LAYOUT, "de"), given("task_opened")).subject


def test_the_links_of_a_chat_message_are_named_in_its_language() -> None:
    message = Message(
        id="a", person="grace", name="Grace", address="@grace", subject="s", text="Guten Tag,\n\nBitte.\n", html="",
        url=None, event="task_opened", request_id="r", language="de", links={"approve": "https://x.example/a"},
    )  # fmt: skip
    assert short(message).endswith("Genehmigen: https://x.example/a")


def test_a_reason_is_told_in_the_readers_language_with_its_words_and_its_cause() -> None:
    failed = because("no_edge", node="pay", result="failed", cause=because("value_required", type="decimal"))
    assert translated(words(failed), say_in("de")) == (
        "keine Kante verlässt pay bei fehlgeschlagen: ein Wert ist nötig; geben Sie decimal an"
    )
    others = words(because("reported", error="approved"))
    assert translated(others, say_in("de")) == "approved", "what others wrote stays"
    with pytest.raises(ValueError, match="no language 'fr'"):
        say_in("fr")
