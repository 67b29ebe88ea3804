"""Templates read well, are bounded whatever an operator writes, and never cost a notice."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.notifications.templates.sandbox import RenderingBudget, TemplateBroken, prepare, render
from activities.notifications.templates.template_set import (
    DIGEST,
    LAYOUT,
    TemplateSet,
    TemplateSource,
    check,
    default,
    defaults,
    preview,
)
from activities.notifications.templates.values import sample, values
from languages.formats import duration, when

NOTICES = sorted(defaults().keys() - {LAYOUT, DIGEST})
NO_REQUEST = {"slo_breached", "canary_reverted"}
# Every event of `tell(` in the core, and what the insight layer announces.
EVENTS = {
    "task_opened", "reminded", "sla_warning", "sla_breached", "sla_critical", "escalated_to", "escalated_from",
    "escalation_ended", "reassigned", "delegated", "task_taken_over", "extended", "superseded", "commented",
    "changes_requested", "informed", "completed", "withdrawn", "cancelled", "failed", "slo_breached",
    "canary_reverted",
}  # fmt: skip


def given(name: str, **changes: Any) -> dict[str, Any]:
    return {**values(sample(name), public_url="https://placet.example.org"), **changes}


def edited(name: str = "task_opened", **parts: str) -> TemplateSource:
    base = {"subject": "s", "text": "t", "html": "<p>h</p>", **parts}
    return TemplateSource(name=name, version=3, **base)


def test_every_event_has_words_of_its_own() -> None:
    assert set(NOTICES) >= EVENTS


@pytest.mark.parametrize("event", NOTICES)
def test_a_default_reads_in_one_line_as_text_and_as_html(event: str) -> None:
    words = TemplateSet().compose(event, given(event))
    assert words.problem is None
    assert "\n" not in words.subject
    for text in (words.subject, words.text):
        assert "{{" not in text
        assert "None" not in text
    assert "<ada@example.org>" not in words.html  # what people wrote is escaped
    if event not in NO_REQUEST:
        assert "https://placet.example.org/requests/req-sample" in words.text
        assert 'href="https://placet.example.org/requests/req-sample"' in words.html


@pytest.mark.parametrize("event", NOTICES)
def test_a_default_renders_where_nothing_optional_is_known(event: str) -> None:
    bare = given(event, task=None)
    if event not in NO_REQUEST:
        bare["detail"] = dict.fromkeys(bare["detail"])
        bare["request"] = {**bare["request"], "input": {}, "facts": []}
    assert TemplateSet().compose(event, bare).problem is None


@pytest.mark.parametrize("event", NOTICES)
def test_a_reason_ends_its_paragraph_for_it_has_no_full_stop(event: str) -> None:
    said = TemplateSet().compose(event, given(event)).text
    assert all(line.endswith(": an example") for line in said.splitlines() if "an example" in line)


def test_a_deadline_is_told_in_the_zone_of_the_process() -> None:
    assert (
        "Please decide by Wed 5 Mar 2025, 10:30 CET." in TemplateSet().compose("task_opened", given("task_opened")).text
    )


def test_an_event_nobody_foresaw_is_told_all_the_same() -> None:
    words = TemplateSet().compose("something_new", given("task_opened", event="something_new"))
    assert "something_new" in words.text


def test_a_line_break_in_a_title_cannot_start_a_header() -> None:
    subject = given("task_opened")
    subject["request"] = {**subject["request"], "title": "x\r\nBcc: everyone@example.org"}
    assert "\n" not in TemplateSet().compose("task_opened", subject).subject


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' * 1000000000 }}",  # memory
        "{{ 9 ** 9 ** 9 }}",  # processor
        "{% for a in range(100000000) %}{% endfor %}",  # calls are not allowed
        "{% set x = x ~ x %}",  # doubling
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in [detail, detail] %}{% endfor %}",  # lists of anything but constants double as well
        "{{ ''.__class__.__mro__ }}",
        "{{ detail.items() }}",
        "{{ detail|attr('keys') }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ 'a'|center(999999999) }}",
        "{% include '/etc/passwd' %}",
        "{% extends 'layout' %}",
        "{{ _budget.rounds }}",
        "{% if %}",
        "{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}",
        "{% if 1 %}" * 200 + "{% endif %}" * 200,
        "{{ event" + "|upper" * 200 + " }}",
        "x" * 40_000,
        "{{ 1 is divisibleby 0 }}",
        "{{ missing }}",
        "{{ detail.missing.deeper }}",
        "{{ 'never'|when }}",
        "{{ at|when('../../etc/passwd') }}",
        "{{ detail.text|duration }}",
        "{{ at.strftime }}",  # where a method lies in memory
        "{{ self }}",
        "{% for fact in request.facts %}{{ loop }}{% endfor %}",
    ],
)
def test_a_hostile_or_broken_template_is_refused_at_once(source: str) -> None:
    start = time.process_time()
    with pytest.raises(TemplateBroken):
        render(prepare(source, html=False), given("task_opened"))
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in x %}{% for b in x %}{% for c in x %}{% endfor %}{% endfor %}{% endfor %}",  # loops of loops
        "{% for a in x %}{{ long }}{% endfor %}",  # much text from little template
        "{{ x|join(long) }}",
        "{% for a in x %}{% if " + " and ".join(["long|upper|lower|title != ''"] * 300) + " %}{% endif %}{% endfor %}",
    ],
)
def test_what_would_run_or_write_for_long_is_stopped(source: str) -> None:
    start = time.process_time()
    with pytest.raises(TemplateBroken):
        render(prepare(source, html=False), {"x": list(range(2_000)), "long": "l" * 2_000})
    assert time.process_time() - start < 10


def test_what_is_wrong_is_named_with_field_and_line() -> None:
    with pytest.raises(TemplateBroken, match="line 2") as refused:
        check(edited(html="fine\n{{ 2 * 3 }}"))
    assert [p.pointer for p in refused.value.problems] == ["/html"]


@pytest.mark.parametrize("broken", ["{{ request.nothing }}", "{{ 1 - 'a' }}", "{{ at.date }}", "{{ event|join(9) }}"])
@pytest.mark.parametrize("part", ["subject", "text", "html"])
def test_what_breaks_on_values_is_named_with_field_and_line(part: str, broken: str) -> None:
    with pytest.raises(TemplateBroken, match="line 3: ") as refused:
        preview(edited(**{part: f"fine\n\n{broken}"}), given("task_opened"))
    assert [(p.pointer, p.message.startswith("line 3: ")) for p in refused.value.problems] == [(f"/{part}", True)]


def test_what_is_not_known_is_written_as_nothing() -> None:
    assert render(prepare("<{{ request.outcome }}>", html=False), given("task_opened")) == "<>"


@pytest.mark.parametrize(("language", "said"), [("en", "SLO: unknown, since"), ("de", "SLO: unbekannt, denn")])
def test_a_window_that_has_emptied_since_a_breach_has_no_share_of_anything(language: str, said: str) -> None:
    known = given("slo_breached")
    known["detail"] |= {"executions": 0, "breached_executions": 0, "current_slo": "-"}
    words = TemplateSet().compose("slo_breached", known, language)
    assert said in words.text
    assert "- %" not in words.text


@pytest.mark.parametrize("event", [*NOTICES, DIGEST])
def test_without_pages_to_open_a_mail_names_the_request_and_links_nowhere(event: str) -> None:
    known = values(sample(event), public_url=None)
    if event == DIGEST:
        notice = {"subject": "s", "text": "t", "url": None, "request": "req-sample", "at": known["at"]}
        notice["links"] = known["links"]
        known |= {"request": None, "notices": [notice]}
    words = TemplateSet().compose(event, known)
    assert words.problem is None
    assert "href" not in words.html
    assert "None" not in words.text
    assert "Open it" not in words.text
    if event not in NO_REQUEST:
        assert "req-sample" in words.text
        assert "req-sample" in words.html


def test_an_edited_template_is_used_and_escaped() -> None:
    wording = TemplateSet([edited(subject="Do {{ request.title }}", html="<i>{{ request.title }}</i>")])
    words = wording.compose("task_opened", given("task_opened"))
    assert (words.subject, words.template, words.problem) == (
        "Do Laptop for Ada <ada@example.org>",
        "task_opened/3",
        None,
    )
    assert "<i>Laptop for Ada &lt;ada@example.org&gt;</i>" in words.html


@pytest.mark.parametrize("broken", ["{{ request.nothing }}", "{% for %}", "{{ 1 - 'a' }}"])
def test_a_broken_template_is_replaced_by_the_default_and_said(broken: str) -> None:
    wording = TemplateSet([edited(text=broken)])
    words = wording.compose("task_opened", given("task_opened"))
    assert words.subject == "Your decision, please: Laptop for Ada <ada@example.org>"
    assert words.template == "default"
    assert words.problem is not None


def test_a_broken_layout_does_not_cost_the_edited_template() -> None:
    wording = TemplateSet([edited(), edited(LAYOUT, html="{{ nothing }}")])
    words = wording.compose("task_opened", given("task_opened"))
    assert words.template == "task_opened/3"
    assert words.problem is not None


def test_a_preview_shows_the_fault_instead_of_the_default() -> None:
    with pytest.raises(TemplateBroken):
        preview(edited(text="{{ request.nothing }}"), given("task_opened"))
    assert preview(default(LAYOUT), given("task_opened")).problem is None


def test_a_huge_input_makes_no_huge_mail() -> None:
    subject = sample("task_opened")
    assert subject.request is not None
    big = {**subject.request, "title": "t" * 10**6, "input": {f"v{n}": ["x" * 1000] * 100 for n in range(100)}}
    from dataclasses import replace

    words = TemplateSet().compose("task_opened", values(replace(subject, request=big), public_url="http://x"))
    assert words.problem is None
    assert len(words.html) < 30_000


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.5, "0.5 s"), (60, "1 min"), (3600, "1 h"), (90061, "1 d 1 h"), (-120, "-2 min")]
)
def test_durations_are_written_for_people(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_moments_are_written_in_a_zone() -> None:
    assert when("2025-07-01T12:00:00.000000Z", "Europe/Berlin") == "Tue 1 Jul 2025, 14:00 CEST"
    assert when(None) == "-"


def test_a_request_that_comes_back_says_what_was_changed_field_by_field() -> None:
    changes = [{"field": "percent", "before": "8", "after": "60"}, {"field": "reason", "before": None, "after": "<b>"}]
    asked = sample("task_opened")
    words = TemplateSet().compose("task_opened", values(replace(asked, detail={"changes": changes}), public_url=None))
    assert "- percent: 8 → 60\n- reason: (nothing) → <b>" in words.text
    assert "<li>percent: 8 → 60</li>" in words.html
    assert "&lt;b&gt;" in words.html
    assert "What was changed" not in TemplateSet().compose("task_opened", values(asked, public_url=None)).text


@pytest.mark.parametrize("event", ["task_opened", "reassigned", "delegated", "escalated_to", "reminded"])
def test_what_is_said_of_the_deadline_is_the_same_in_every_place_of_a_mail(event: str) -> None:
    asked = sample(event)
    due = asked.task["due_at"] if asked.task else asked.at
    early, late = (values(asked, public_url=None, now=due + timedelta(minutes=m)) for m in (-1, 1))
    text, html = (getattr(TemplateSet().compose(event, late), part) for part in ("text", "html"))
    assert "please decide now" in text
    assert "decide by" not in text + html
    assert "CET (passed)" in text
    text = TemplateSet().compose(event, early).text
    assert "Please decide by Wed 5 Mar 2025, 10:30 CET." in text
    assert "passed" not in text


def test_the_end_of_a_request_names_who_decided_and_what_they_wrote() -> None:
    said = replace(sample("completed"), detail={"outcome": "rejected", "by": "user:ada", "text": "Too much."})
    words = TemplateSet().compose("completed", values(said, public_url=None))
    assert "rejected, decided by Ada." in words.text
    assert "Ada wrote:\n\nToo much." in words.text
    assert "Too much." in words.html


def test_a_line_break_in_a_title_or_a_value_adds_no_line_to_a_mail() -> None:
    request = sample("task_opened").request or {}
    forged = {**request, "title": "Laptop\n  Requester:  The CEO", "input": {"reason": "old\nDeadline: none"}}
    words = TemplateSet().compose(
        "task_opened", values(replace(sample("task_opened"), request=forged), public_url=None)
    )
    lines = [line.strip() for line in words.text.splitlines()]
    assert "Requester:  The CEO" not in lines
    assert "Deadline: none" not in lines
    assert "Laptop Requester: The CEO" in lines


def test_times_are_told_in_the_zone_that_a_person_chose() -> None:
    words = TemplateSet().compose("task_opened", values(sample("task_opened"), public_url=None, timezone="Asia/Tokyo"))
    assert "Please decide by Wed 5 Mar 2025, 18:30 JST." in words.text


def test_a_rendering_may_wait_for_a_processor_but_not_use_more_of_it_than_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall, used = 100.0, 5.0
    monkeypatch.setattr("activities.notifications.templates.sandbox.time.monotonic", lambda: wall)
    monkeypatch.setattr("activities.notifications.templates.sandbox.time.thread_time", lambda: used)
    budget = RenderingBudget(seconds=1.0)
    wall, used = 110.0, 5.6  # the thread waited for nine seconds
    budget.spend()
    wall, used = 110.3, 5.9
    budget.spend()
    wall, used = 110.5, 6.1
    with pytest.raises(TemplateBroken, match="takes more than"):
        budget.spend()
