"""Play a schedule from its seed, or from the choices that were made in it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.choices import Choices
from tests.faults.processes.worker import Violation
from tests.faults.virtual_time import clocks
from tests.faults.world import World


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a schedule went: what it violated, if anything, and the choices that it made."""

    violation: str | None
    made: tuple[int, ...]
    faults: int
    steps: int
    calls: int = 0  # that people and machines made, without repeats of them
    trace: tuple[str, ...] = ()


class _Notes(logging.Handler):
    """Writes what the product logs into the trace, and keeps it from everywhere else meanwhile."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.WARNING if world.trace is not None else logging.CRITICAL)
        self._world = world
        root = logging.getLogger()
        self._before = (root.handlers, root.level)
        root.handlers = [self]
        root.setLevel(self.level)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line."""
        error = record.exc_info[1] if record.exc_info else None
        self._world.note(f"  log: {record.getMessage()}{'' if error is None else f' {error!r}'}")

    def close(self) -> None:
        """Let others log again."""
        root = logging.getLogger()
        root.handlers, level = self._before
        root.setLevel(level)
        super().close()


HARDER = 10_000_000
"""From this seed on workers lose workflow tasks in every schedule, and often: some faults need two that are lost."""


def play(seed: int, *, played: Sequence[int] | None = None, traced: bool = False) -> Outcome:
    """Play one schedule from its seed, or from a list of choices."""
    choices = Choices(seed, played=played)
    trace: list[str] | None = [] if traced else None
    harder = seed >= HARDER
    # In some seeds only, so that the others keep the schedules that they had before.
    world = World(
        choices,
        for_machines=seed % 4 == 3,
        slow_store=seed % 16 == 5,
        tasks_fail=harder or seed % 16 == 10,
        late_histories=60 if harder else 15 if seed % 16 == 12 else 0,
        trace=trace,
    )
    violation = None
    log = _Notes(world)
    try:
        with clocks(world.loop, seed):
            try:
                world.run()
            except Violation as error:
                violation = str(error)
    finally:
        world.close()
        log.close()
    return Outcome(
        violation=violation,
        made=tuple(choices.made),
        faults=world.faults,
        steps=world.steps,
        calls=len(world.callers.calls),
        trace=tuple(trace or ()),
    )
