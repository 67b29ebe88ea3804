"""Languages: every text of the pages has a German one, and numbers and times are as the reader's locale has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from babel import dates
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from activities.notifications.templates.template_set import defaults
from api.http import problems
from placet.audit.chain import KINDS
from placet.definition.assignees import parse_assignee
from placet.engine import state
from placet.nodes.registry import NODE_TYPES
from service.administration.notifications import CHANNELS
from simulation.scenario.spec import Mode
from storage.queries.simulations.simulation_rows import SHOWN as SEEN
from web.audit import kinds
from web.graph import page as graph_page
from web.languages import Wording, negotiate, zone_of
from web.operations import deliveries as messages
from web.refusals import told
from web.simulations import wording as wording_of_simulations
from web.views import words
from web.views.requests import timeline
from web.views.words import assignee

WEB = Path(__file__).parents[2] / "web"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEYWORDS = {"say": None, "say_number": (1, 2), "marked": None, "_": None, "gettext": None, "ngettext": (1, 2)}
_PLACES = re.compile(r"\{\w+\}|%\(\w+\)s")


def wording(language: str) -> Wording:
    return Wording(language=language, zone=ZoneInfo("Europe/Berlin"), now=NOW)


def test_the_name_of_a_zone_is_the_readers_own_whoever_read_the_same_moment_before() -> None:
    spring = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def read_in(zone: str, at: datetime = spring) -> str:
        return Wording(language="en", zone=ZoneInfo(zone), now=NOW).zone_name(at)

    assert [read_in(zone) for zone in ("Etc/UTC", "Europe/Berlin", "Europe/London")] == ["UTC", "CET", "GMT"]
    autumn = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]  # both at half past two in Berlin
    assert [read_in("Europe/Berlin", at) for at in autumn] == ["CEST", "CET"]


def texts() -> set[str]:
    found = extract_from_dir(
        WEB,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        options_map={"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}},
        keywords=KEYWORDS,
    )
    marked = {text if isinstance(text, str) else text[0] for _, _, text, _, _ in found if text}
    shown = {title for kind, title in problems.TITLES.items() if kind is not problems.KeyReused}
    return marked | shown  # a page shows what the API calls a refusal


def test_every_text_of_the_pages_has_a_german_one_with_the_same_places() -> None:
    with (WEB / "locales/de/LC_MESSAGES/placet.po").open("rb") as file:
        catalogue = read_po(file, locale="de")
    messages = {(m.id,) if isinstance(m.id, str) else tuple(m.id): m.string for m in catalogue if m.id}
    german = {english[0] for english in messages}
    assert sorted(texts() - german) == []
    assert sorted(german - texts()) == []
    for english, found in messages.items():
        places = [set(_PLACES.findall(one)) for one in english]
        for one in [found] if isinstance(found, str) else found:
            assert one, english
            assert set(_PLACES.findall(one)) in places, english


@pytest.mark.parametrize(
    ("language", "number", "money", "soon"),
    [
        ("en", "1,234,567.891234", "€1,234.50", "in 3 hours"),
        ("de", "1.234.567,891234", "1.234,50\xa0€", "in 3 Stunden"),
    ],
)
def test_numbers_and_times_are_exact_and_as_the_locale_writes_them(
    language: str, number: str, money: str, soon: str
) -> None:
    reader = wording(language)
    assert reader.number(Decimal("1234567.891234")) == number
    assert reader.money(Decimal("1234.5"), "EUR") == money
    assert reader.distance(NOW + timedelta(hours=3)) == soon


@given(
    seconds=st.one_of(st.integers(-200, 200), st.integers(-(10**9), 10**9), st.floats(-5, 5, allow_nan=False)),
    language=st.sampled_from(["en", "de"]),
)
def test_what_is_kept_of_a_distance_reads_as_babel_writes_it(seconds: float, language: str) -> None:
    reader, away = wording(language), timedelta(seconds=seconds)
    written = dates.format_timedelta(away, add_direction=True, threshold=1.2, locale=reader.locale)
    assert reader.distance(NOW + away) == written


def test_an_amount_below_nothing_keeps_its_sign_beside_one_of_nothing() -> None:
    assert wording("en").money(Decimal("0.00"), "EUR") == "€0.00"
    assert wording("en").money(Decimal("-0.00"), "EUR") == "-€0.00"


def test_a_moment_is_told_in_the_readers_time_zone() -> None:
    assert wording("en").moment(NOW) == "2 Mar 2026, 10:00"


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("de", "en", "de"),
        (None, "fr, de;q=0.8, en;q=0.9", "en"),
        (None, "de-AT", "de"),
        (None, "xx;q=nonsense, de", "de"),
        ("fr", None, "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_what_the_browser_asks_for(
    chosen: str | None, accepted: str | None, language: str
) -> None:
    assert negotiate(chosen, accepted) == language


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "Mars/Olympus", "x" * 100, "\0"])
def test_a_time_zone_that_is_none_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_every_refusal_that_a_page_can_show_says_in_german_what_it_is_and_what_to_do() -> None:
    for kind, status in problems._STATUS:
        name, called = problems.code_of(kind), problems.TITLES[kind]
        document = problems.problem(status, "user:x is not there.", title=called, kind=name)
        title, advice, detail = told(document, wording("de"))
        assert title != document["title"], kind
        assert advice, kind
        assert detail == document["detail"]
        assert told(document, wording("en"))[1] != advice, kind


@pytest.mark.parametrize(
    ("codes", "known"),
    [
        (KINDS, words.KINDS),
        (KINDS, kinds.NAMES),
        (defaults().keys() - {"layout", "digest", "other"}, {**kinds.NAMES, **messages.EVENTS}),
        ((*CHANNELS, "webhook"), messages.CHANNELS),
        (get_args(state.Decision), words.DECISIONS),
        (get_args(state.Decision), words.DECIDED),
        (get_args(state.Decision), words.YOU),
        (get_args(state.Status), words.STATUSES),
        (get_args(state.SlaState), words.SLA),
        (get_args(state.TaskStatus), words.TASKS),
        (get_args(state.ProofMethod), words.PROOFS),
        (get_args(Mode), wording_of_simulations.MODES),
        (get_args(Mode), wording_of_simulations.ABOUT),
        (SEEN, wording_of_simulations.SHOWN),
        (NODE_TYPES, graph_page.KINDS),
    ],
)
def test_every_code_that_a_page_shows_has_words_in_both_languages(
    codes: Iterable[str], known: Mapping[str, str]
) -> None:
    assert sorted(set(codes) - known.keys()) == []
    german = wording("de")
    assert [code for code in codes if not german.say(known[code])] == []


def test_a_code_of_a_later_version_is_shown_by_its_name() -> None:
    assert messages.event(wording("de").say, "sent_to_mars") == "sent to mars"
    assert messages.channel(wording("de").say, "webhook:wh_1") == "Webhook"
    assert messages.channel(wording("de").say, "pigeon") == "pigeon"


def test_a_reason_on_a_timeline_is_in_the_readers_language_and_a_persons_words_are_theirs() -> None:
    english, german = wording("en"), wording("de")
    reason = {"why": "user:mo has left", "code": "left", "parameters": {"person": "user:mo"}}
    assert timeline._said(reason, german) == "user:mo ist ausgeschieden"
    assert timeline._said(reason, english) == "user:mo has left"
    assert timeline._said({"why": "approved"}, german) == "approved"


def test_a_text_with_a_number_is_said_by_the_name_that_the_catalogue_is_made_by() -> None:
    called = re.compile(r"say_number(?!\()")
    assert [
        str(file) for file in WEB.rglob("*.py") if file.name != "languages.py" and called.search(file.read_text())
    ] == []


@pytest.mark.parametrize(
    ("name", "english", "german"),
    [
        ("manager_of(requester)", "the manager of the requester", "die Führungskraft der antragstellenden Person"),
        (
            "manager_of(owner)",
            "the manager of the process owner",
            "die Führungskraft der Person, der der Prozess gehört",
        ),
        ("manager_of(user:max)", "the manager of Max", "die Führungskraft von Max"),
        (
            "manager_of(input:buyer)",
            "the manager of whom the request names in buyer",
            "die Führungskraft der Person, die der Antrag in buyer nennt",
        ),
        (
            "manager_of(manager_of(requester))",
            "the manager one level above: the manager of the requester",
            "die Führungskraft eine Ebene höher: die Führungskraft der antragstellenden Person",
        ),
    ],
)
def test_whoever_a_process_names_is_told_in_words_that_fit_together(name: str, english: str, german: str) -> None:
    told = [assignee(wording(one).say, parse_assignee(name), lambda who: who.title()) for one in ("en", "de")]
    assert told == [english, german]


def test_a_day_is_written_in_the_order_and_with_the_points_of_the_language() -> None:
    written = [(one.moment(NOW), one.day(NOW), one.short_day(NOW, year=False)) for one in map(wording, ("en", "de"))]
    assert written == [
        ("2 Mar 2026, 10:00", "Mon, 2 Mar 2026", "2 Mar"),
        ("2. März 2026, 10:00", "Mo., 2. März 2026", "2. März"),
    ]
