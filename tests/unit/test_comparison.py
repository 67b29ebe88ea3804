"""Two timelines side by side: what people care about differs, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulation.report.comparison import lines_of, side_by_side

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Happened:
    """An entry of a timeline."""

    kind: str = "started"
    actor: str = "user:ann"
    stage: str | None = None
    task_id: str | None = None
    after: timedelta = timedelta()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """When it happened."""
        return START + self.after


def beside(one: Happened, other: Happened) -> tuple[bool, list[str]]:
    """Return whether two entries are the same, and the details in which they differ."""
    (row,) = side_by_side(lines_of([one], START), lines_of([other], START))
    return row["same"], row["differs"]


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ({"content_digest": "a"}, {"content_digest": "b"}, []),  # of what stands beside it
        ({"title": "A chair", "content_digest": "a"}, {}, []),  # a simulation has no title of its own
        ({"title": "A chair"}, {"title": "Simulation"}, []),
        ({"via": "link"}, {"via": "api"}, []),  # how somebody reached Placet
        ({"created_from": "r1", "parent": "r0"}, {}, []),  # what only a real request has
        ({"choice": {"passed": ["user:bob"]}}, {}, []),  # whom it went to stands beside it
        ({"signature": {"name": "Ann"}}, {}, []),  # a simulation proves nobody's identity
        ({"signature": {"name": "Ann"}}, {"signature": {"name": "Bob"}}, ["signature"]),
        (
            {"input": {"amount": "7"}, "content_digest": "a"},
            {"input": {"amount": "8"}, "content_digest": "b"},
            ["input"],
        ),
        ({"version": "1.0.0", "digest": "a"}, {"version": "1.1.0", "digest": "b"}, ["version"]),
        ({"version": "1.0.0", "digest": "a"}, {"version": "1.0.0", "digest": "b"}, ["digest"]),  # a patch
        ({"due_at": "2026-03-02T17:00:00Z"}, {"due_at": "2026-03-02T17:00:03Z"}, []),  # an engine's working time
        ({"due_at": "2026-03-02T17:00:00Z"}, {"due_at": "2026-03-03T17:00:00Z"}, ["due_at"]),
        ({"decision": "approve"}, {"decision": "reject", "why": "no"}, ["decision", "why"]),
    ],
)
def test_details_that_people_care_about_differ_and_no_others(
    one: dict[str, Any], other: dict[str, Any], differs: list[str]
) -> None:
    assert beside(Happened(detail=one), Happened(detail=other)) == (not differs, differs)
    assert beside(Happened(detail=other), Happened(detail=one))[1] == [*sorted(differs, key=[*other, *one].index)]


def test_the_number_of_a_task_is_no_difference_and_a_later_moment_is_one() -> None:
    first, third = (Happened(kind="decided", stage="Board", task_id=f"r.{number}") for number in (1, 3))
    assert beside(first, third) == (True, [])
    late = Happened(kind="decided", stage="Board", task_id="r.1", after=timedelta(minutes=5))
    assert beside(first, late) == (False, [])
