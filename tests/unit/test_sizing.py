"""The table of docs/sizing.md is what the measured figures give."""

from __future__ import annotations

import pytest

from tests.bench.sizing import BUSY, DAYS, DOCS, PAGE, PARTS, measured, page, size_of

BENCHMARKS = (DOCS / "BENCHMARKS.md").read_text()


def test_the_page_holds_what_the_benchmarks_give() -> None:
    text = PAGE.read_text()
    assert page(text, measured(BENCHMARKS)) == text, "run make bench BENCH=sizing"


def test_cores_grow_with_the_requests_and_every_part_is_counted() -> None:
    cost = measured(BENCHMARKS)
    small, large = size_of(cost, 10_000), size_of(cost, 100_000)
    assert set(large.cores) == set(PARTS)
    for part in PARTS:
        assert large.cores[part] == pytest.approx(10 * small.cores[part])
    assert sum(large.cores.values()) == pytest.approx(large.rate * sum(cost.milliseconds.values()) / 1000 / BUSY)
    assert min(small.processes.values()) == 2


def test_it_says_where_it_extrapolates() -> None:
    cost = measured(BENCHMARKS)
    told = [size_of(cost, requests).extrapolates for requests in DAYS]
    assert told == sorted(told)
    assert set(told) == {False, True}


def test_figures_that_are_not_there_are_not_made_up() -> None:
    with pytest.raises(StopIteration):
        measured("")
