"""Settings that contradict each other are told at the start, not by mails that never leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from activities.notifications.delivery.start import notification_runner
from activities.notifications.settings import NotifySettings, load
from placet.errors import InputInvalid
from storage.database import Database

MAIL = {"smtp_host": "mail.example.org"}
CHAT = {"chat_urls": "json://chat.example.org"}


async def nothing_known(_request_id: str) -> None:
    """Answer like an engine that cannot tell."""


def start(folder: Path, **settings: object) -> None:
    database = Database(f"sqlite:///{folder / 'some.db'}")
    known = NotifySettings(**settings)  # type: ignore[arg-type]  # a row
    notification_runner(database, nothing_known, known, tell=nothing_known, secret="x" * 16)


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        (MAIL | {"notify_lease": 20}, "PLACET_SMTP_TIMEOUT is 30 s"),
        (MAIL | {"notify_lease": 120, "smtp_timeout": 120}, "PLACET_SMTP_TIMEOUT is 120 s"),
        (CHAT | {"notify_lease": 20}, "PLACET_CHAT_TIMEOUT is 30 s"),
        ({"sms_urls": "json://sms.example.org", "chat_timeout": 500}, "PLACET_CHAT_TIMEOUT is 500 s"),
    ],
)
async def test_a_lease_that_is_not_longer_than_a_channel_may_take_is_refused_with_both_names(
    tmp_path: Path, settings: dict[str, object], other: str
) -> None:
    with pytest.raises(InputInvalid, match="nothing would ever be sent") as refused:
        start(tmp_path, **settings)
    assert other in refused.value.message
    assert [problem.pointer for problem in refused.value.problems] == ["/PLACET_NOTIFY_LEASE"]


@pytest.mark.parametrize(
    "settings",
    [
        {"notify_lease": 1},  # nothing is set up
        MAIL | {"notify_lease": 40, "chat_timeout": 500, "webhook_timeout": 500},
        CHAT | {"notify_lease": 40, "smtp_timeout": 500},
    ],
)
async def test_channels_that_are_not_used_do_not_count(tmp_path: Path, settings: dict[str, object]) -> None:
    start(tmp_path, **settings)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"NOTIFY_RETRY_FIRST": "10", "NOTIFY_RETRY_MOST": "5"}, "longer than PLACET_NOTIFY_RETRY_MOST"),
        ({"SMTP_USERNAME": "placet"}, "belong together"),
        ({"SMTP_PASSWORD": "secret"}, "belong together"),
        ({"SMTP_USERNAME": "a", "SMTP_PASSWORD": "b", "SMTP_TLS": "none"}, "in clear text"),
    ],
)
def test_other_pairs_that_contradict_each_other_are_refused(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"PLACET_{name}", value)
    with pytest.raises(InputInvalid) as refused:
        load()
    assert said in refused.value.problems[0].message
