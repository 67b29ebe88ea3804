"""Processor time (user and system) and memory of process trees, as the kernel counts them in /proc."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")  # in a second
_MODULES = {"service.pool.process": "pool"}
# Where the fields after the name stand in /proc/PID/stat: see proc(5).
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14


@dataclass(frozen=True, slots=True)
class Seen:
    """One process at a moment: its parent, its name, and the seconds of itself and of children that have ended."""

    parent: int
    name: str
    seconds: float


def of_trees(roots: Iterable[int]) -> Counter[str]:
    """Return the seconds that the processes below `roots` have used since their starts, by name.

    What a child used that has ended counts for its parent, as the kernel has it, so nothing is lost.
    """
    used: Counter[str] = Counter()
    for seen in below(roots).values():
        used[seen.name] += seen.seconds
    return used


def memory(roots: Iterable[int]) -> Counter[str]:
    """Return the resident bytes of the processes below `roots`, by name."""
    held: Counter[str] = Counter()
    for pid, seen in below(roots).items():
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue  # it has ended since
        held[seen.name] += pages * os.sysconf("SC_PAGE_SIZE")
    return held


def named(root: int, name: str) -> tuple[int, ...]:
    """Return the ids of the processes below `root` that have this name."""
    return tuple(pid for pid, seen in below([root]).items() if seen.name == name)


def below(roots: Iterable[int]) -> dict[int, Seen]:
    """Return the processes of these ids and all that they started, by id."""
    there = _all()
    children = defaultdict(list)
    for pid, (parent, _) in there.items():
        children[parent].append(pid)
    found: dict[int, Seen] = {}
    left = [pid for pid in roots if pid in there]
    while left:
        pid = left.pop()
        if pid not in found:
            parent, seconds = there[pid]
            found[pid] = Seen(parent, _name(pid), seconds)
            left += children[pid]
    return found


def name_of(words: Sequence[str]) -> str:
    """Name a process by its command line: the command of Placet's, the module that Python runs, or the program."""
    programs = [Path(word).name for word in words]
    if "temporal-server" in programs:  # also the guard that ends it with its parent
        return "engine"
    if "temporal-ui" in programs:
        return "web UI"
    if programs[0].startswith("postgres"):
        return "database"
    if "placet" in programs[:2]:
        return _command(words[programs.index("placet") + 1 :])
    if "-m" in words:
        module = words[words.index("-m") + 1]
        if module.split(".")[0] == "cli":
            return _command(words[words.index("-m") + 2 :])
        return _MODULES.get(module, module.rsplit(".", 1)[-1])
    return programs[0]


def difference(after: Mapping[str, float], before: Mapping[str, float]) -> Counter[str]:
    """Return what was used in between, by name."""
    return Counter({name: after.get(name, 0.0) - before.get(name, 0.0) for name in {*after, *before}})


def _command(arguments: Sequence[str]) -> str:
    only = [word.removeprefix("--only=") for word in arguments if word.startswith("--only=")]
    if "--only" in arguments:
        only.append(arguments[list(arguments).index("--only") + 1])
    return " ".join([*arguments[:1], *only])


def _all() -> dict[int, tuple[int, float]]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended since
            own = sum(int(fields[n]) for n in (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM))
            found[int(folder.name)] = (int(fields[_PARENT]), own / _TICKS)
    return found


def _name(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
        shown = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "ended"
    if shown.startswith("placet-"):  # a child of `placet up`
        return shown.removeprefix("placet-")
    return name_of(words) if words[0] else "ended"
