"""Bombs on a running Placet: during each kind the service holds hardly more, and somebody else's decisions succeed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.approvals import EXPENSE
from tests.hostile import calls, endure
from tests.processes import STAFF, Caller, Process, installation
from tests.waiting import PATIENCE

MOST_MEGABYTES = 200
CALLS = calls()
# What each is answered: made or found sound, refused by its content, too long, or told to come again.
ANSWERS = {200, 201, 409, 413, 422, 429}


@pytest.fixture(scope="module")
def placet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Process, dict[str, str]]]:
    with installation(tmp_path_factory.mktemp("bombs") / "home", PLACET_POOL_SECONDS="10") as place:
        tokens = place.load(STAFF)
        process, where = place.up()
        olivia = Caller(where["api"], tokens["olivia"])
        template = olivia("POST", "process-templates/", EXPENSE, expect=201)
        olivia("POST", f"process-templates/{template['id']}/publish/")
        olivia("POST", "workflow-simulations/", {"mode": "explore", "template": EXPENSE["name"]}, expect=201)
        yield where, process, tokens


@pytest.mark.parametrize("kind", CALLS)
async def test_a_bomb_harms_nobody_else(placet: tuple[dict[str, Any], Process, dict[str, str]], kind: str) -> None:
    where, process, tokens = placet
    api = where["api"]
    fared = await endure(api, where["processes"]["api"]["pid"], tokens, CALLS[kind])
    assert process.running
    assert " has ended (" not in process.log.read_text(), "no child was started again"
    assert set(fared.statuses) <= ANSWERS, fared.statuses
    assert fared.statuses.total() == len(CALLS[kind])
    assert fared.refused == []
    assert len(fared.decisions) >= 5
    assert fared.grown < MOST_MEGABYTES, f"{fared.grown:.0f} MB more"
    async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        ready = await http.get(f"{api}/api/v1/health/ready")
    assert ready.status_code == httpx.codes.OK, ready.text
