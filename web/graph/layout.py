"""A layered layout: nodes in rows from top to bottom, edges that lead down and cross seldom.

The four steps are those of Sugiyama, Tagawa and Toda (1981): edges that close a loop are turned round, each node gets
a row, the nodes of a row get an order, and then their places. Everything is determined by the order in which nodes and
edges are given, so that the same process is always drawn alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP = 36.0  # between two boxes of a row
ROW_GAP = 76.0  # between two rows
MARGIN = 16.0
_LANE = 22.0  # the width that an edge takes in the rows that it passes
_SWEEPS = 8  # over all rows, down and up, to put them in order and in place
_STRAIGHT = 8.0  # how much straighter an edge is between two rows that it only passes, compared with one at a box


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A node with the size of its drawing; `x` and `y` of its upper left corner where the author has placed it."""

    id: str
    width: float
    height: float
    x: float | None = None
    y: float | None = None


Link = tuple[str, str]  # from one node to another; there may be several alike
Place = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The upper left corner of each box, the points that each link leads through, and the size of the whole.

    `automatic` is false where the places are the author's.
    """

    places: Mapping[str, Place]
    routes: tuple[tuple[Place, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    width: float
    height: float
    automatic: bool


def arrange(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Place the boxes: as their author has, if all of them are placed and none covers another, else in rows."""
    if placed := _as_given(boxes):
        return _free(boxes, links, placed)
    return _layered(boxes, links)


def crossings(layout: Layout) -> int:
    """Count how often two links cross between neighbouring rows, each drawn as straight lines through its points."""
    spans = [span for route in layout.routes for span in pairwise(route)]
    return sum(
        1
        for n, (one, two) in enumerate(spans)
        for other, another in spans[n + 1 :]
        if one[1] == other[1] and two[1] == another[1] and (one[0] - other[0]) * (two[0] - another[0]) < 0
    )


# The author's places


def _as_given(boxes: Sequence[Box]) -> dict[str, Place] | None:
    places = {box.id: (box.x, box.y) for box in boxes if box.x is not None and box.y is not None}
    if len(places) < len(boxes) or any(abs(v) > 1e5 for place in places.values() for v in place):
        return None
    ordered = sorted(boxes, key=lambda box: places[box.id][1])
    for n, box in enumerate(ordered):
        x, y = places[box.id]
        for other in ordered[n + 1 :]:
            left, top = places[other.id]
            if top >= y + box.height:
                break  # and so are all that follow
            if left < x + box.width and x < left + other.width:
                return None
    low_x, low_y = min(x for x, _ in places.values()), min(y for _, y in places.values())
    return {name: (x - low_x + MARGIN, y - low_y + MARGIN) for name, (x, y) in places.items()}


def _free(boxes: Sequence[Box], links: Sequence[Link], places: dict[str, Place]) -> Layout:
    size = {box.id: box for box in boxes}
    routes = []
    for source, target in links:
        (x, y), (to_x, to_y) = places[source], places[target]
        one, other = size[source], size[target]
        begin, end = (x + one.width / 2, y + one.height / 2), (to_x + other.width / 2, to_y + other.height / 2)
        routes.append((_border(begin, end, one), _border(end, begin, other)))
    rows: dict[float, list[str]] = defaultdict(list)
    for box in sorted(boxes, key=lambda box: (places[box.id][1], places[box.id][0])):
        rows[places[box.id][1]].append(box.id)
    return Layout(
        places=places,
        routes=tuple(routes),
        rows=tuple(tuple(row) for row in rows.values()),
        width=max(places[box.id][0] + box.width for box in boxes) + MARGIN,
        height=max(places[box.id][1] + box.height for box in boxes) + MARGIN,
        automatic=False,
    )


def _border(centre: Place, towards: Place, box: Box) -> Place:
    """Return where the line from the centre of a box leaves it."""
    across, down = towards[0] - centre[0], towards[1] - centre[1]
    if not across and not down:
        return centre
    share = min(
        box.width / 2 / abs(across) if across else float("inf"), box.height / 2 / abs(down) if down else float("inf")
    )
    return centre[0] + across * share, centre[1] + down * share


# Rows


@dataclass(slots=True)
class _Point:
    """A box, or the passage of a link through a row; `x` is that of its middle."""

    name: str | None
    width: float
    height: float
    row: int
    x: float = 0.0
    above: list[_Point] | None = None
    below: list[_Point] | None = None


def _layered(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    turned = _turned([box.id for box in boxes], links)
    row_of = _rows([box.id for box in boxes], [_downward(link, n in turned) for n, link in enumerate(links)])
    points = {box.id: _Point(box.id, box.width, box.height, row_of[box.id], above=[], below=[]) for box in boxes}
    rows: list[list[_Point]] = [[] for _ in range(max(row_of.values(), default=0) + 1)]
    for point in points.values():
        rows[point.row].append(point)
    lanes: dict[tuple[str, bool, int], _Point] = {}
    chains = [
        _chain(points, rows, lanes, _downward(link, n in turned), turned=n in turned) for n, link in enumerate(links)
    ]
    _order(rows)
    _put(rows)
    tops = _tops(rows)
    heights = [max((point.height for point in row), default=0.0) for row in rows]
    routes = []
    for n, chain in enumerate(chains):
        route = _route(chain, heights, tops)
        routes.append(tuple(reversed(route)) if n in turned else tuple(route))
    left = min(point.x - point.width / 2 for row in rows for point in row)
    shift = MARGIN - left
    return Layout(
        places={p.name: (p.x - p.width / 2 + shift, tops[p.row]) for p in points.values() if p.name is not None},
        routes=tuple(tuple((x + shift, y) for x, y in route) for route in routes),
        rows=tuple(tuple(p.name for p in row if p.name is not None) for row in rows),
        width=max(point.x + point.width / 2 for row in rows for point in row) + shift + MARGIN,
        height=tops[-1] + max((point.height for point in rows[-1]), default=0) + MARGIN,
        automatic=True,
    )


def _downward(link: Link, turned: bool) -> Link:
    return (link[1], link[0]) if turned else link


def _turned(names: Sequence[str], links: Sequence[Link]) -> set[int]:
    """Return which links close a loop, as a walk from the first node meets them; a link to itself is one as well."""
    leaving: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for n, (source, target) in enumerate(links):
        leaving[source].append((n, target))
    state: dict[str, int] = {}  # 1: on the way that is walked now, 2: done
    turned: set[int] = set()
    for first in names:
        if first in state:
            continue
        state[first] = 1
        way = [(first, iter(leaving[first]))]
        while way:
            name, rest = way[-1]
            for n, target in rest:
                if state.get(target) == 1:
                    turned.add(n)
                elif target not in state:
                    state[target] = 1
                    way.append((target, iter(leaving[target])))
                    break
            else:
                state[name] = 2
                way.pop()
    return turned


def _rows(names: Sequence[str], links: Sequence[Link]) -> dict[str, int]:
    """Return each node's row: one below the lowest of those that lead to it, or right above what it leads to."""
    into: dict[str, int] = dict.fromkeys(names, 0)
    below: dict[str, list[str]] = defaultdict(list)
    for source, target in links:
        if source != target:
            into[target] += 1
            below[source].append(target)
    waiting = [name for name in names if not into[name]]
    begins = set(waiting)
    row = dict.fromkeys(names, 0)
    done = []
    while waiting:
        name = waiting.pop()
        done.append(name)
        for target in below[name]:
            row[target] = max(row[target], row[name] + 1)
            into[target] -= 1
            if not into[target]:
                waiting.append(target)
    for name in reversed(done):  # a node that nothing leads to stands near what it leads to, not at the top
        if name in begins and below[name] and name != names[0]:
            row[name] = min(row[target] for target in below[name]) - 1
    return row


def _chain(
    points: Mapping[str, _Point],
    rows: list[list[_Point]],
    lanes: dict[tuple[str, bool, int], _Point],
    link: Link,
    *,
    turned: bool,
) -> list[_Point]:
    """Return the points of a link from its upper end to its lower one, with a passage in each row between.

    Links to the same lower end share their passages (`lanes`): many that lead to one end are a single line there, and
    their number does not multiply with the rows.
    """
    upper, lower = points[link[0]], points[link[1]]
    chain = [upper]
    for row in range(upper.row + 1, lower.row):
        lane = (link[1], turned, row)
        if lane not in lanes:
            lanes[lane] = _Point(None, _LANE, 0, row, above=[], below=[])
            rows[row].append(lanes[lane])
        chain.append(lanes[lane])
    chain.append(lower)
    for one, two in pairwise(chain):
        shared = one.name is None and one.below is not None and any(other is two for other in one.below)
        if one is not two and not shared and one.below is not None and two.above is not None:
            one.below.append(two)
            two.above.append(one)
    return chain


def _order(rows: list[list[_Point]]) -> None:
    """Put each row into the order in which the fewest links cross, as sweeps over the rows find it."""
    best, fewest = [list(row) for row in rows], _crossed(rows)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for n in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            index = {id(point): i for i, point in enumerate(rows[n - 1 if down else n + 1])}
            rows[n].sort(key=lambda point: _middle(point, index, down=down))
        _swap(rows)
        if (crossed := _crossed(rows)) < fewest:
            best, fewest = [list(row) for row in rows], crossed
    rows[:] = best


def _middle(point: _Point, index: Mapping[int, int], *, down: bool) -> float:
    near = (point.above if down else point.below) or []
    places = [index[id(other)] for other in near]
    return sum(places) / len(places) if places else -1.0


def _swap(rows: list[list[_Point]]) -> None:
    """Exchange neighbours in a row wherever fewer links cross then."""
    for n, row in enumerate(rows):
        above = {id(point): i for i, point in enumerate(rows[n - 1])} if n else {}
        below = {id(point): i for i, point in enumerate(rows[n + 1])} if n + 1 < len(rows) else {}
        for i in range(len(row) - 1):
            one, two = row[i], row[i + 1]
            now = _between(one.above, two.above, above) + _between(one.below, two.below, below)
            then = _between(two.above, one.above, above) + _between(two.below, one.below, below)
            if then < now:
                row[i], row[i + 1] = two, one


def _between(one: list[_Point] | None, two: list[_Point] | None, index: Mapping[int, int]) -> int:
    """Count how often the links of two neighbours cross, if `one` stands on the left."""
    left, right = [index[id(p)] for p in one or []], [index[id(p)] for p in two or []]
    return sum(1 for a in left for b in right if a > b)


def _crossed(rows: list[list[_Point]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        index = {id(point): i for i, point in enumerate(lower)}
        ends = [index[id(other)] for point in upper for other in sorted(point.below or [], key=lambda p: index[id(p)])]
        total += _inversions(ends, len(lower))
    return total


def _inversions(values: Sequence[int], size: int) -> int:
    """Count the pairs that stand in the wrong order, by a binary indexed tree."""
    tree = [0] * (size + 1)
    total = 0
    for seen, value in enumerate(values):
        place, not_above = value + 1, 0
        while place:
            not_above += tree[place]
            place &= place - 1
        total += seen - not_above
        place = value + 1
        while place <= size:
            tree[place] += 1
            place += place & -place
    return total


# Places in a row


def _put(rows: list[list[_Point]]) -> None:
    """Give each point its x: near its neighbours in the rows above and below, and clear of those beside it."""
    for row in rows:
        _spread(row, [0.0] * len(row), [1.0] * len(row))
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for n in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            wanted, weights = [], []
            for point in rows[n]:
                near = (point.above if down else point.below) or []
                near = near or (point.below if down else point.above) or []
                wanted.append(sum(other.x for other in near) / len(near) if near else point.x)
                straight = point.name is None and any(other.name is None for other in near)
                weights.append(_STRAIGHT if straight else 1.0)
            _spread(rows[n], wanted, weights)


def _spread(row: list[_Point], wanted: Sequence[float], weights: Sequence[float]) -> None:
    """Place a row as near to what is wanted as its order and the gaps allow: the least sum of weighted squares.

    Less the room that those on the left take, the places may not decrease; so this is isotonic regression, which
    pools neighbours that would overlap.
    """
    room, taken = [0.0], 0.0
    for one, two in pairwise(row):
        taken += (one.width + two.width) / 2 + GAP
        room.append(taken)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, less in zip(wanted, weights, room, strict=False):
        mean, total, count = want - less, weight, 1
        while pools and pools[-1][0] > mean:
            other, its_weight, many = pools.pop()
            mean = (mean * total + other * its_weight) / (total + its_weight)
            total, count = total + its_weight, count + many
        pools.append((mean, total, count))
    means = [mean for mean, _, count in pools for _ in range(count)]
    for point, mean, less in zip(row, means, room, strict=False):
        point.x = mean + less


def _tops(rows: list[list[_Point]]) -> list[float]:
    tops, top = [], MARGIN
    for row in rows:
        tops.append(top)
        top += max((point.height for point in row), default=0) + ROW_GAP
    return tops


def _route(chain: list[_Point], heights: list[float], tops: list[float]) -> list[Place]:
    """Return the points of a link, from the lower border of its first box to the upper border of its last."""
    first, last = chain[0], chain[-1]
    if first is last:  # to itself: round the right side of the box
        right, top = first.x + first.width / 2, tops[first.row]
        return [
            (right, top + first.height * 0.7),
            (right + GAP * 0.7, top + first.height / 2),
            (right, top + first.height * 0.3),
        ]
    route = [(_leave(first, chain[1], first.below or []), tops[first.row] + first.height)]
    for point in chain[1:-1]:
        height = heights[point.row]
        if len(route) > 1 and route[-1][0] == route[-2][0] == point.x:
            route.pop()  # straight on
        else:
            route.append((point.x, tops[point.row]))
        route.append((point.x, tops[point.row] + height))
    route.append((_leave(last, chain[-2], last.above or []), tops[last.row]))
    return route


def _leave(box: _Point, towards: _Point, all_of_them: list[_Point]) -> float:
    """Return where a link leaves or enters a box: several of them side by side, in the order of where they lead."""
    ordered = sorted(all_of_them, key=lambda point: point.x)
    at = next((n for n, point in enumerate(ordered) if point is towards), 0)
    step = min(56.0, box.width * 0.85 / max(1, len(ordered)))
    return box.x + (at - (len(ordered) - 1) / 2) * step
