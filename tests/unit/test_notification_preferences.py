"""What people chose decides over which channel a notice goes, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.notifications.preferences import Preferences, read
from placet.errors import InputInvalid

ALL = ("mail", "chat", "sms")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def chosen(event: str, now: str, **given: Any) -> list[tuple[str, str, bool]]:
    routes = read(given).routes(event, ALL, at(now))
    return [(route.channel, route.not_before.strftime("%a %H:%M"), route.digest) for route in routes]


def test_nothing_chosen_means_mail_at_once() -> None:
    assert chosen("task_opened", "2025-03-04 22:00") == [("mail", "Tue 22:00", False)]


def test_muted_events_go_nowhere() -> None:
    assert chosen("commented", "2025-03-04 12:00", muted=["commented"]) == []


def test_a_channel_that_is_not_set_up_is_passed_over_and_mail_is_the_last_resort() -> None:
    routes = Preferences(channels=("chat", "sms")).routes("task_opened", ("mail", "sms"), at("2025-03-04 12:00"))
    assert [route.channel for route in routes] == ["sms"]
    routes = Preferences(channels=("pigeon",)).routes("task_opened", ALL, at("2025-03-04 12:00"))
    assert [route.channel for route in routes] == ["mail"]


BERLIN: dict[str, Any] = {"timezone": "Europe/Berlin", "quiet_hours": {"from": "20:00", "until": "07:00"}}


@pytest.mark.parametrize(
    ("now", "event", "expected"),
    [
        ("2025-03-04 18:59", "task_opened", "Tue 18:59"),  # 19:59 in Berlin
        ("2025-03-04 19:00", "task_opened", "Wed 06:00"),  # 20:00: until 07:00 tomorrow
        ("2025-03-05 02:00", "task_opened", "Wed 06:00"),  # after midnight: until 07:00 today
        ("2025-03-29 23:30", "task_opened", "Sun 05:00"),  # the night the clock goes forward: 07:00 is CEST
        ("2025-03-04 23:00", "sla_breached", "Tue 23:00"),  # urgent
    ],
)
def test_quiet_hours_hold_messages_back(now: str, event: str, expected: str) -> None:
    assert chosen(event, now, **BERLIN) == [("mail", expected, False)]


def test_quiet_days_are_quiet_all_day() -> None:
    quiet = {"from": "20:00", "until": "07:00", "days": ["sat", "sun"]}
    assert chosen("task_opened", "2025-03-08 12:00", quiet_hours=quiet) == [("mail", "Mon 07:00", False)]


def test_quiet_round_the_clock_is_not_meant() -> None:
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    quiet = {"from": "20:00", "until": "07:00", "days": days}
    assert chosen("task_opened", "2025-03-04 12:00", quiet_hours=quiet) == [("mail", "Tue 12:00", False)]


def test_a_digest_waits_for_its_next_time_and_urgent_events_do_not() -> None:
    digest = {"at": ["08:00", "16:00"]}
    assert chosen("task_opened", "2025-03-04 12:00", digest=digest) == [("mail", "Tue 16:00", True)]
    assert chosen("task_opened", "2025-03-04 16:00", digest=digest) == [("mail", "Wed 08:00", True)]
    assert chosen("sla_breached", "2025-03-04 12:00", digest=digest) == [("mail", "Tue 12:00", False)]


def test_a_digest_is_a_mail_and_chat_does_not_wait_for_it() -> None:
    found = chosen("task_opened", "2025-03-04 12:00", digest={"at": ["08:00"]}, channels=["mail", "chat"])
    assert found == [("mail", "Wed 08:00", True), ("chat", "Tue 12:00", False)]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"timezone": "Mars/Base"}, "/timezone"),
        ({"quiet_hours": {"from": "25:00", "until": "07:00"}}, "/quiet_hours/from"),
        ({"quiet_hours": {"from": "20:00", "until": "07:00", "days": ["funday"]}}, "/quiet_hours/days"),
        ({"digest": {"at": []}}, "/digest/at"),
        ({"channels": "mail"}, "/channels"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(given: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InputInvalid) as refused:
        read(given)
    assert [p.pointer for p in refused.value.problems] == [pointer]
