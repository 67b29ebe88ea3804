"""What entries are called on pages: every kind has words, and its name in the chain stays beside them."""

from __future__ import annotations

import pytest

from placet.audit.chain import KINDS
from web.audit.kinds import NAMES, name_of
from web.views import words

DELIVERIES = {"notified", "notification_failed"}


@pytest.mark.parametrize("known", [NAMES, words.KINDS], ids=["names", "sentences"])
def test_every_kind_of_entry_has_words(known: dict[str, str]) -> None:
    assert set(known) == KINDS | DELIVERIES
    assert all("_" not in said.replace("{", "").split("}")[0] for said in NAMES.values())


def test_a_kind_that_is_not_known_keeps_its_name() -> None:
    assert name_of(str, "edited_by_hand") == "edited_by_hand"
    assert name_of(str.upper, "routed") == "WAY CHOSEN"
