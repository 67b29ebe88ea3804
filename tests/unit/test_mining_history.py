"""A history keeps what miners read in columns, and takes rows in any number."""

from __future__ import annotations

import math
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import process_time
from typing import Any

from insight.mining.history import MOST_TEXTS, Case, FieldColumn, History, Task
from insight.mining.mine import mine
from tests.planted import planted, shifts

START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def case(number: int, **values: Any) -> Case:
    return Case(request_id=f"r{number}", template="Expense", version="1.0.0", started_at=START, values=values)


def test_a_field_that_comes_later_is_missing_before() -> None:
    history = History.of([case(1), case(2, amount="12.50", urgent=True), case(3, amount=7)], [])
    amount, urgent = history.cases.fields["amount"], history.cases.fields["urgent"]
    assert math.isnan(amount.numbers[0])
    assert list(amount.numbers[1:]) == [12.5, 7]
    assert list(urgent.texts) == [-1, 0, -1]
    assert urgent.names.known == [True]
    assert all(math.isnan(number) for number in urgent.numbers)


def test_values_that_no_rule_is_made_of_are_missing() -> None:
    column = FieldColumn(0)
    for value in (None, [1], {"a": 1}, "nan", "inf", Decimal("Infinity"), 10**400):
        column.add(value)
    assert all(math.isnan(number) for number in column.numbers)


def test_a_field_of_too_many_texts_says_so_and_keeps_no_more_of_them() -> None:
    column = FieldColumn(0)
    for number in range(MOST_TEXTS + 500):
        column.add(f"purpose {number}")
    assert column.has_too_many_texts
    assert len(column.names) == MOST_TEXTS + 1


def test_a_task_of_an_unknown_case_is_left_out_and_a_case_counts_once() -> None:
    task = Task(request_id="r1", stage="Manager", opened_at=START, decided_at=START + timedelta(hours=1))
    other = Task(request_id="r9", stage="Manager", opened_at=START)
    history = History.of([case(1), case(1)], [task, other])
    assert (len(history.cases), len(history.tasks)) == (1, 1)
    assert history.tasks.decided[0] - history.tasks.opened[0] == 3600


def test_a_history_takes_few_bytes_and_mining_little_more() -> None:
    part = planted(1, {"same end"}, 1_500)
    tracemalloc.start()
    history = History()
    for number in range(4):
        more = shifts(part, number)
        for one in more.cases:
            history.add_case(one)
        for task in more.tasks:
            history.add_task(task)
        del more
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    mine(part.blueprint, history, 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(history.tasks) > 25_000
    assert held / len(history.tasks) < 200  # bytes, with the share of its request
    assert peak / len(history.tasks) < 350


def test_mining_takes_a_few_microseconds_a_task() -> None:
    part = planted(1, {"same end"}, 4_000)
    history = part.history
    begun = process_time()
    mine(part.blueprint, history, 10)
    assert (process_time() - begun) / len(history.tasks) < 60e-6
