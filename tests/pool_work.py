"""Work for processes of the pool: what ends, and what does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from placet.errors import InputInvalid, PlacetError

_HELD: list[bytes] = []


def add(one: int, other: int) -> int:
    return one + other


def environment() -> dict[str, str]:
    return dict(os.environ)


def spin() -> None:
    while True:
        pass


def spin_over(*_: Any, **__: Any) -> None:
    spin()


def sleep() -> None:
    time.sleep(3600)


def eat() -> int:
    return len([0] * 10**10)


def eat_in_bits() -> int:
    kept = []
    while True:
        kept.append(bytes(10**6))


def hold(megabytes: int) -> int:
    _HELD.append(b"x" * (megabytes << 20))
    return megabytes


def die(number: int) -> None:
    os.kill(os.getpid(), number)


def break_off() -> None:
    raise KeyError("our own fault")


def refuse() -> None:
    raise InputInvalid.at("/a", "not this")


def lack() -> None:
    raise AwkwardlyMade(kind="odd")


class AwkwardlyMade(PlacetError):
    def __init__(self, *, kind: str) -> None:
        super().__init__(kind)


def long_answer(length: int) -> bytes:
    return bytes(length)


def count(to: int, tell: Callable[[Any], None]) -> int:
    for number in range(to):
        tell(number)
    return to


def proof() -> bool:
    import z3  # loaded here, as by a proof

    return bool(z3.simplify(z3.BoolVal(True)))
