"""One `placet up` for all tests of the HTTP contract, which each use processes of their own names."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract import PEOPLE, Placet
from tests.processes import installation
from tests.waiting import PATIENCE


@pytest.fixture(scope="session")
def placet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placet]:
    """Give a running installation with people in it."""
    with installation(tmp_path_factory.mktemp("contract") / "home") as place:
        tokens = place.load(PEOPLE)
        _, where = place.up()
        with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
            first = http.get(f"{where['api']}/api/v1/metrics/prometheus")
            yield Placet(place=place, where=where, tokens=tokens, http=http, first_metrics=first.text)
