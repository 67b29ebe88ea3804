"""The plan of faults: drawn from a seed before anything runs, so that a seed repeats it."""

from __future__ import annotations

import random
from dataclasses import dataclass

WORKERS = ("worker-1", "worker-2")
PLACET = ("api", *WORKERS, "notifier")
PROCESSES = (*PLACET, "engine", "store")
STORE_LINKS = tuple(f"{name}>store" for name in (*PLACET, "engine"))
ENGINE_LINKS = tuple(f"{name}>engine" for name in PLACET)
LINKS = ("client>api", *ENGINE_LINKS, *STORE_LINKS, "notifier>mail")
EVERY = 2.8  # seconds from one fault to the next, on average
FIRST = 3.0  # seconds without a fault at the beginning
LAST = 0.93  # of the time: then nothing new goes wrong


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong: when (seconds from the start), what, to whom, for how long, and how much of it."""

    at: float
    kind: str
    target: str
    seconds: float
    amount: float = 0.0  # of latency and of slowness, seconds; of a clock's jump, seconds

    def __str__(self) -> str:
        amount = f" by {self.amount:g} s" if self.amount else ""
        return f"{self.at:7.1f} s  {self.kind} {self.target} for {self.seconds:g} s{amount}"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    name: str
    weight: int
    targets: tuple[str, ...]
    seconds: tuple[float, float]
    amount: tuple[float, float] = (0.0, 0.0)


# Most faults are small ones between two processes: a process that starts again takes seconds of a processor.
_KINDS: tuple[_Kind, ...] = (
    _Kind(name="kill", weight=12, targets=PROCESSES, seconds=(0.0, 2.0)),
    _Kind(name="stop", weight=14, targets=PROCESSES, seconds=(0.5, 9.0)),
    _Kind(name="cut", weight=24, targets=LINKS, seconds=(0.0, 2.5)),
    _Kind(name="stall", weight=12, targets=LINKS, seconds=(0.5, 9.0)),
    _Kind(name="latency", weight=14, targets=LINKS, seconds=(2.0, 8.0), amount=(0.02, 0.4)),
    _Kind(name="slow-store", weight=6, targets=("store",), seconds=(3.0, 8.0), amount=(0.01, 0.1)),
    _Kind(name="locked-store", weight=6, targets=("store",), seconds=(1.0, 8.0)),
    _Kind(name="disk-full", weight=4, targets=("store",), seconds=(1.0, 4.0)),
    _Kind(name="restart-store", weight=4, targets=("store",), seconds=(0.0, 1.0)),
    _Kind(name="clock-jump", weight=5, targets=WORKERS, seconds=(4.0, 12.0), amount=(-7200.0, 7200.0)),
    _Kind(name="rolling-restart", weight=1, targets=("placet",), seconds=(0.0, 0.0)),
)


def plan_of(seed: int, seconds: float, every: float = EVERY) -> tuple[Fault, ...]:
    """Return the faults of so many seconds, one in `every` of them on average; each kind comes at least once."""
    draw = random.Random(seed)
    count = max(len(_KINDS), round((LAST * seconds - FIRST) / every))
    kinds = list(_KINDS) + draw.choices(_KINDS, weights=[kind.weight for kind in _KINDS], k=count - len(_KINDS))
    draw.shuffle(kinds)
    moments = sorted(draw.uniform(FIRST, max(FIRST, LAST * seconds)) for _ in kinds)
    return tuple(
        Fault(
            at=round(at, 1),
            kind=kind.name,
            target=draw.choice(kind.targets),
            seconds=round(draw.uniform(*kind.seconds), 1),
            amount=round(draw.uniform(*kind.amount), 3),
        )
        for at, kind in zip(moments, kinds, strict=True)
    )
