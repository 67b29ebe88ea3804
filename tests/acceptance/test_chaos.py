"""A short run of chaos: separate processes on PostgreSQL under faults of all kinds lose nothing and double nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Work, run

WORK = Work(seed=0, seconds=30, requests=30)


@pytest.mark.timeout(1500)
def test_what_callers_were_told_holds_after_kills_cuts_slow_and_full_stores_and_wrong_clocks(tmp_path: Path) -> None:
    report = run(tmp_path, WORK)
    assert report.violations == [], f"python -m tests.chaos --seed 0 --seconds 30 --requests 30\n{report}"
    assert report.faults.total() >= 11
