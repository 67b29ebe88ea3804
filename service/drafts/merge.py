"""Merge the changes of two people to one blueprint, at JSON Pointer level, and tell where that is not safe.

Both began with the same content. What only one of them changed is taken over; what both changed alike is taken once;
what both changed in different ways is a conflict. Members of objects are merged one by one. Variables, stages, nodes
and edges are told apart by what names them, wherever they stand in their list; any other list is one value.

The functions are pure, and run in the pool: documents are bounded, but not small.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from placet.json_pointer import pointer_of

Side = Literal["theirs", "mine"]
Keys = Sequence[Any]


class Absent(Enum):
    """What stands for a value that is not there: null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One place that differs: in the newer content, or where it is gone from there, in the older one."""

    pointer: str
    kind: Literal["added", "removed", "changed", "reordered"]
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeConflict:
    """One place that both changed in different ways; a side that has nothing there holds ABSENT.

    The pointer is into the content of the others; where it is gone from there, into one's own.
    """

    pointer: str
    base: Any
    theirs: Any
    mine: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What came of a merge: the content, in which the conflicts went to one side, and those conflicts."""

    content: Any
    conflicts: tuple[MergeConflict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """How the items of a list are told apart, and within which of them their order says something."""

    key: Callable[[Mapping[str, Any]], Any]
    group: Callable[[Any], Any] | None = None  # of a key; None: two people may add at the same place


_LISTS: Final[dict[tuple[str | int, ...], _Named]] = {
    ("variables",): _Named(key=lambda item: item.get("name")),
    ("process_steps",): _Named(key=lambda item: item.get("stage_name"), group=lambda _: None),
    ("graph_spec", "nodes"): _Named(key=lambda item: item.get("id")),
    ("graph_spec", "edges"): _Named(
        key=lambda item: (item.get("from"), item.get("to"), item.get("on")), group=lambda key: key[0]
    ),
}


def merge(base: Any, theirs: Any, mine: Any, *, conflicts_to: Side = "theirs", mine_at: Collection[str] = ()) -> Merge:
    """Merge two contents that began as `base`; where both changed the same place, that side's value is taken.

    `mine_at` are the pointers of conflicts of which one's own value is taken.
    """
    merger = _Merger(conflicts_to, mine_at)
    content = merger.value(base, theirs, mine, ())
    return Merge(content=content, conflicts=tuple(merger.conflicts))


def changes(before: Any, after: Any) -> tuple[FieldChange, ...]:
    """Return each place that differs, in the order of the document."""
    return tuple(_changes(before, after, ()))


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: true is no 1, and 1.0 is 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


@dataclass
class _Merger:
    side: Side
    mine_at: Collection[str]
    conflicts: list[MergeConflict] = field(default_factory=list)

    def value(self, base: Any, theirs: Any, mine: Any, place: tuple[str | int, ...]) -> Any:
        if same(theirs, mine) or same(base, mine):
            return theirs
        if same(base, theirs):
            return mine
        if isinstance(base, dict) and isinstance(theirs, dict) and isinstance(mine, dict):
            return self._members(base, theirs, mine, place)
        if place in _LISTS:
            merged = self._items(base, theirs, mine, place)
            if merged is not None:
                return merged
        return self._conflict(base, theirs, mine, place)

    def _conflict(self, base: Any, theirs: Any, mine: Any, place: tuple[str | int, ...]) -> Any:
        pointer = pointer_of(place)
        self.conflicts.append(MergeConflict(pointer=pointer, base=base, theirs=theirs, mine=mine))
        return mine if self.side == "mine" or pointer in self.mine_at else theirs

    def _members(
        self, base: dict[str, Any], theirs: dict[str, Any], mine: dict[str, Any], place: tuple[str | int, ...]
    ) -> dict[str, Any]:
        found = {}
        for key in dict.fromkeys((*theirs, *mine)):
            was, their, my = (one.get(key, ABSENT) for one in (base, theirs, mine))
            value = self.value(was, their, my, (*place, key))
            if value is not ABSENT:
                found[key] = value
        return found

    def _items(self, base: Any, theirs: Any, mine: Any, place: tuple[str | int, ...]) -> list[Any] | None:
        """Merge lists whose items have names; None where they have none, or their order cannot be told."""
        named = _LISTS[place]
        sides = [_by_name(one, named) for one in (base, theirs, mine)]
        was, their, my = sides
        if was is None or their is None or my is None:
            return None
        order = _order([*was], [*their], [*my], named.group)
        if order is None:
            return None
        index = {key: number for keys in (my, their) for number, key in enumerate(keys)}
        found = []
        for key in order:
            one, other, own = (items.get(key, ABSENT) for items in (was, their, my))
            value = self.value(one, other, own, (*place, index[key]))
            if value is not ABSENT:
                found.append(value)
        return found


def _by_name(items: Any, named: _Named) -> dict[Any, Any] | None:
    """Return the items of a list by their names; None where one has none, or two have the same."""
    if not isinstance(items, list):
        return None
    found: dict[Any, Any] = {}
    for item in items:
        key = named.key(item) if isinstance(item, dict) else None
        parts = key if isinstance(key, tuple) else (key,)
        if not isinstance(parts[0], str) or any(not isinstance(part, str | None) for part in parts) or key in found:
            return None
        found[key] = item
    return found


def _order(base: Keys, theirs: Keys, mine: Keys, group: Callable[[Any], Any] | None) -> list[Any] | None:
    """Return all names of both sides in an order that both meant; None where there is none, or more than one."""
    common, known = {*base} & {*theirs} & {*mine}, {*base}
    was, their, my = ([key for key in keys if key in common] for keys in (base, theirs, mine))
    added = [[key for key in keys if key not in known] for keys in (theirs, mine)]
    if their != was and my not in (was, their):
        return None
    if group is not None and added[0] != added[1]:
        if (their != was and added[1]) or (my != was and added[0]):
            return None
        if _spots(theirs, known, common, group) & _spots(mine, known, common, group):
            return None
    ahead, behind = (mine, theirs) if their == was and my != was else (theirs, mine)
    found, there, before = list(ahead), {*ahead}, None
    for number, key in enumerate(behind):
        if key not in there:
            found.insert(found.index(before) + 1 if number else 0, key)
            there.add(key)
        before = key
    return found


def _spots(keys: Keys, known: set[Any], common: set[Any], group: Callable[[Any], Any]) -> set[tuple[Any, Any]]:
    """Return where the new items stand: their group, and behind which item of it that both sides know."""
    found, last = set(), dict[Any, Any]()
    for key in keys:
        of = group(key)
        if key in common:
            last[of] = key
        elif key not in known:
            found.add((of, last.get(of)))
    return found


def _changes(before: Any, after: Any, place: tuple[str | int, ...]) -> Iterator[FieldChange]:
    if same(before, after):
        return
    if before is ABSENT or after is ABSENT:
        yield _change(place, before, after)
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*after, *before)):
            yield from _changes(before.get(key, ABSENT), after.get(key, ABSENT), (*place, key))
        return
    named = _LISTS.get(place)
    old, new = (_by_name(one, named) if named is not None else None for one in (before, after))
    if old is None or new is None:
        yield _change(place, before, after)
        return
    index = {key: number for keys in (old, new) for number, key in enumerate(keys)}
    for key in dict.fromkeys((*new, *old)):
        yield from _changes(old.get(key, ABSENT), new.get(key, ABSENT), (*place, index[key]))
    kept = [[key for key in keys if key in old and key in new] for keys in (old, new)]
    if kept[0] != kept[1]:
        names = [[_text(key) for key in keys] for keys in kept]
        yield FieldChange(pointer=pointer_of(place), kind="reordered", before=names[0], after=names[1])


def _change(place: tuple[str | int, ...], before: Any, after: Any) -> FieldChange:
    kind: Literal["added", "removed", "changed"] = "changed"
    if before is ABSENT:
        kind = "added"
    elif after is ABSENT:
        kind = "removed"
    plain = (None if value is ABSENT else value for value in (before, after))
    was, now = plain
    return FieldChange(pointer=pointer_of(place), kind=kind, before=was, after=now)


def _text(key: Any) -> str:
    return key if isinstance(key, str) else " ".join(part for part in key if part)
