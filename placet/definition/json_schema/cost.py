"""The cost of a JSON Schema, counted over its graph before the schema is used.

A schema of thirty lines can ask for a billion steps: what is referred to twice is looked at twice, and so is what that
refers to. Nesting says nothing about it, so expansions are counted: each subschema once for every way that leads to it.
Two things are counted. `graph_of` counts what applies to one and the same value, whatever is sent; a schema that goes
round there without going into a value never comes to an end, and is refused. `Graph.cost` counts what one value comes
to, which a schema that refers to itself leaves open. Both remember what they have counted, so that counting is cheap
where the thing itself is not, and both stop at their bound.

Keywords are those of all drafts together: counting one too many is safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias
from urllib.parse import unquote, urldefrag, urljoin

from placet.json_pointer import parts_of
from placet.sentences import sentence

MOST_EXPANSIONS = 5_000  # subschemas that apply to one value, each as often as it is come to
LONGEST_CHAIN = 50  # subschemas that lead to one another and apply to one value
MOST_STATES = 50_000  # of all patterns together, with their repetitions written out
MOST_PAIRS = 40_000  # of a subschema and a value that it applies to, each counted once
MOST_VISITS = 300_000  # of a subschema to a value, each as often as it is come to
MOST_TOLD = 1_000_000  # what it would take to tell all that may be wrong, in some 50 bytes

_FAULT = 60  # of those that one fault takes beside a copy of its value
_CLASS = 500  # states of a class of characters by their Unicode property
_STEP = 64  # steps through a pattern's states that take as long as one visit
_META = "https://json-schema.org/draft/"
_META_VISITS = 500  # for each value that a schema of schemas is put to

_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# What finds no fault by itself: the faults are those of the subschemas, or counted beside, or there are none.
_QUIET = frozenset(
    {*_REFERENCES, *_IN_PLACE[1:], "allOf", "dependentSchemas", "properties", "patternProperties", "items"}
    | {"prefixItems", "required", "dependentRequired", "$id", "$schema", "$anchor", "$dynamicAnchor", "$comment"}
    | {"$defs", "definitions", "title", "description", "default", "examples", "format"}
)
_EVERY_MEMBER = ("additionalProperties", "unevaluatedProperties")
_EVERY_ITEM = ("additionalItems", "unevaluatedItems")

Path: TypeAlias = tuple[str | int, ...]


class TooCostly(ValueError):
    """The schema exceeds the bound, or cannot be counted. `instance_path`: the place in the schema."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.instance_path = path


@dataclass(slots=True)
class _Node:
    """One subschema: what applies to the same value, and what applies to its members or items."""

    path: Path
    keywords: int = 1  # faults that it may find itself
    choices: int = 0  # the weight of `enum` and `const`, which a fault carries along
    again: bool = False  # it asks anew what applies to the same value for each member (`unevaluated…`)
    meta: bool = False  # a schema of schemas
    states: int = 0  # of its own pattern
    same: list[int] = field(default_factory=list)
    properties: dict[str, int] = field(default_factory=dict)
    patterns: list[int] = field(default_factory=list)
    pattern_states: int = 0  # of the patterns that names are put to
    members: list[int] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)  # `contains`, which looks twice


@dataclass(frozen=True, slots=True)
class Cost:
    """What a value comes to: visits, and what telling every fault would take (`MOST_TOLD`)."""

    visits: int
    told: int


class Graph:
    """The subschemas that a schema consists of, and which leads to which. Made by `graph_of`."""

    def __init__(self, nodes: list[_Node]) -> None:
        self._nodes = nodes

    def cost(self, value: Any) -> Cost:
        """Return what holding a value to the schema costs; raises TooCostly where it exceeds what may be looked at."""
        known: dict[tuple[int, int], Cost] = {}
        weights = _Weights()
        pending: list[tuple[int, Any, list[tuple[int, Any, int]] | None]] = [(0, value, None)]
        while pending:
            number, one, below = pending.pop()
            key = (number, id(one))
            if below is None:
                if key in known:
                    continue
                below = list(_below(self._nodes[number], one))
                pending.append((number, one, below))
                pending += [(inner, each, None) for inner, each, _ in below if (inner, id(each)) not in known]
                if len(known) + len(pending) > MOST_PAIRS:
                    _refuse_value(
                        sentence(
                            "more than {most_pairs} of its parts would have to be looked at", most_pairs=MOST_PAIRS
                        )
                    )
                continue
            own = _own(self._nodes[number], one, weights)
            costs = [(known[inner, id(each)], times) for inner, each, times in below]
            known[key] = cost = Cost(
                visits=own.visits + sum(c.visits * times for c, times in costs),
                told=own.told + sum(c.told * times for c, times in costs),
            )
            if cost.visits > MOST_VISITS:
                _refuse_value(sentence("it would take more than {most_visits} steps", most_visits=MOST_VISITS))
        return known[0, id(value)]


def graph_of(schema: dict[str, Any] | bool) -> Graph:
    """Return the graph of a schema; raises TooCostly with the place and the bound."""
    reader = _SchemaReader(schema)
    nodes = reader.read()
    _expansions(nodes)
    return Graph(nodes)


def pattern_states(pattern: str) -> int:
    """Estimate the states of a pattern with its repetitions written out: what compiling and matching it costs."""
    sums, last = [0], 0  # of the groups that are open; of what stands before a repetition
    at = 0
    while at < len(pattern) and sums[0] <= MOST_STATES:
        char = pattern[at]
        at += 1
        if char == "(":
            sums.append(0)
            last = 0
            continue
        if char == ")" and len(sums) > 1:
            last = sums.pop()
        elif char == "{" and (counted := _counted(pattern, at)) is not None:
            times, at = counted
            sums[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
            if sums[-1] > MOST_STATES:
                return MOST_STATES + 1
            continue
        elif char == "[":
            last, at = _bracket(pattern, at)
        elif char == "\\":
            last = _CLASS if pattern[at : at + 1] in {"p", "P"} else 1
            named = last == _CLASS and pattern[at + 1 : at + 2] == "{"
            at = pattern.find("}", at) + 1 if named and "}" in pattern[at:] else at + 1
        else:
            last = 10 if char == "." else 1
        sums[-1] += last
    return sum(sums)


def _counted(pattern: str, at: int) -> tuple[int, int] | None:
    """Read `{2}`, `{2,}` or `{2,5}` behind its brace; None for a literal one."""
    end = pattern.find("}", at, at + 24)
    least, comma, most = pattern[at:end].partition(",") if end >= 0 else ("", "", "")
    if not least.isdecimal() or (most and not most.isdecimal()):
        return None
    return (int(most) if most else int(least) + (1 if comma else 0)), end + 1


def _bracket(pattern: str, at: int) -> tuple[int, int]:
    begin = at
    at += 1 if pattern[at : at + 1] == "^" else 0
    at += 1 if pattern[at : at + 1] == "]" else 0
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    inside = pattern[begin:at]
    return 10 + len(inside) + _CLASS * (inside.count("\\p") + inside.count("\\P")), at + 1


class _SchemaReader:
    """Read a schema into nodes, from its root along everything that applies; what nothing refers to is left out."""

    def __init__(self, schema: dict[str, Any] | bool) -> None:
        self._schema = schema
        self._nodes: list[_Node] = []
        self._numbers: dict[int, int] = {}  # by id of the subschema
        self._places: dict[str, tuple[Any, Path]] = {}  # by absolute address
        self._dynamic: dict[str, list[tuple[Any, Path]]] = {}  # by name of the anchor
        self._bases: dict[int, str] = {}  # by id of the subschema: what its references start from
        self._pending: list[tuple[_Node, dict[str, Any]]] = []
        self._always = _Node(path=())  # true and false
        self._states = 0

    def read(self) -> list[_Node]:
        self._places[""] = (self._schema, ())
        self._locate(self._schema)
        self._number(self._schema, ())
        while self._pending:
            self._fill(*self._pending.pop())
        return self._nodes

    def _locate(self, root: Any) -> None:
        """Note what can be referred to by an address of its own or by an anchor."""
        pending: list[tuple[Any, Path, str]] = [(root, (), "")]
        while pending:
            one, path, base = pending.pop()
            if isinstance(one, dict):
                if isinstance(ident := one.get("$id"), str):
                    base = _joined(base, ident)
                    self._places.setdefault(base, (one, path))
                self._bases[id(one)] = base
                for key in ("$anchor", "$dynamicAnchor"):
                    if isinstance(name := one.get(key), str):
                        self._places.setdefault(f"{base}#{name}", (one, path))
                        if key == "$dynamicAnchor":
                            self._dynamic.setdefault(name, []).append((one, path))
                if one.get("$recursiveAnchor") is True:
                    self._dynamic.setdefault("", []).append((one, path))
                pending += [(inner, (*path, key), base) for key, inner in one.items() if isinstance(inner, dict | list)]
            elif isinstance(one, list):
                pending += [(inner, (*path, n), base) for n, inner in enumerate(one) if isinstance(inner, dict | list)]

    def _number(self, schema: Any, path: Path) -> int:
        if not isinstance(schema, dict):
            self._nodes.append(self._always)
            return len(self._nodes) - 1
        known = self._numbers.get(id(schema))
        if known is None:
            known = self._numbers[id(schema)] = len(self._nodes)
            node = _Node(path=path)
            self._nodes.append(node)
            self._pending.append((node, schema))
        return known

    def _fill(self, node: _Node, schema: dict[str, Any]) -> None:
        path = node.path
        node.keywords = sum(key not in _QUIET for key in schema)
        node.choices = _weight(schema.get("enum")) + _weight(schema.get("const"))
        node.again = "unevaluatedProperties" in schema or "unevaluatedItems" in schema
        node.keywords += sum(_weight(schema.get(key)) for key in ("required", "dependentRequired"))
        for key in _REFERENCES:
            if isinstance(target := schema.get(key), str):
                node.same += self._targets(target, self._bases[id(schema)], (*path, key), dynamic=key != "$ref")
        for key in _IN_PLACE_LISTS:
            node.same += self._each(schema.get(key), (*path, key))
        for key in _IN_PLACE:
            node.same += self._one(schema, key, path)
        for key in ("dependentSchemas", "dependencies"):
            node.same += self._named(schema.get(key), (*path, key)).values()
        if isinstance(pattern := schema.get("pattern"), str):
            node.states = self._pattern(pattern, (*path, "pattern"))
        self._fill_inside(node, schema)

    def _fill_inside(self, node: _Node, schema: dict[str, Any]) -> None:
        path = node.path
        node.properties = self._named(schema.get("properties"), (*path, "properties"))
        patterns = schema.get("patternProperties")
        if isinstance(patterns, dict):
            node.patterns += self._named(patterns, (*path, "patternProperties")).values()
            node.pattern_states = sum(self._pattern(p, (*path, "patternProperties", p)) for p in patterns)
        for key in _EVERY_MEMBER:
            node.members += self._one(schema, key, path)
        node.names += self._one(schema, "propertyNames", path)
        items = schema.get("items")
        node.first += self._each(schema.get("prefixItems"), (*path, "prefixItems"))
        if isinstance(items, list):
            node.first += self._each(items, (*path, "items"))
        else:
            node.items += self._one(schema, "items", path)
        for key in _EVERY_ITEM:
            node.items += self._one(schema, key, path)
        node.counted += self._one(schema, "contains", path)

    def _one(self, schema: Mapping[str, Any], key: str, path: Path) -> list[int]:
        return [self._number(schema[key], (*path, key))] if isinstance(schema.get(key), dict | bool) else []

    def _each(self, schemas: Any, path: Path) -> list[int]:
        listed = schemas if isinstance(schemas, list) else []
        return [self._number(each, (*path, n)) for n, each in enumerate(listed)]

    def _named(self, schemas: Any, path: Path) -> dict[str, int]:
        named = schemas if isinstance(schemas, dict) else {}
        return {
            name: self._number(each, (*path, name)) for name, each in named.items() if isinstance(each, dict | bool)
        }

    def _pattern(self, pattern: str, path: Path) -> int:
        states = 1 + pattern_states(pattern)
        self._states += states
        if self._states > MOST_STATES:
            message = sentence(
                "the patterns have more than {most_states} states once their repetitions are written out",
                most_states=MOST_STATES,
            )
            raise TooCostly(sentence("{message}; repeat less", message=message), path)
        return states

    def _targets(self, reference: str, base: str, path: Path, *, dynamic: bool) -> Iterator[int]:
        """Return what a reference leads to; a dynamic one may lead to each anchor of that name."""
        address = _joined(base, reference)
        document, fragment = urldefrag(address)
        found = [self._place(document, unquote(fragment))]
        if dynamic:
            found += self._dynamic.get(unquote(fragment), [])
        known = [place for place in found if place is not None]
        if not known and address.startswith(_META):
            self._nodes.append(_Node(path=path, meta=True))
            yield len(self._nodes) - 1
            return
        if not known:
            message = sentence(
                "{reference!r} leads to no place in this schema; other documents are never fetched",
                reference=reference[:200],
            )
            raise TooCostly(sentence("{message}, so put what it means under $defs", message=message), path)
        for one, where in known:
            yield self._number(one, where)

    def _place(self, document: str, fragment: str) -> tuple[Any, Path] | None:
        whole = self._places.get(document)
        if whole is None or not fragment:
            return whole
        if not fragment.startswith("/"):
            return self._places.get(f"{document}#{fragment}")
        one, path = whole
        for part in parts_of(fragment):
            key: str | int = part
            if isinstance(one, list) and part.isdecimal() and len(part) < 8 and int(part) < len(one):
                key = int(part)
            elif not isinstance(one, dict) or part not in one:
                return None
            one, path = one[key], (*path, key)
        return one, path


def _expansions(nodes: list[_Node]) -> None:
    """Count what applies to one value; raises TooCostly where it is too much, or goes round."""
    counted: dict[int, int] = {}
    chains: dict[int, int] = {}
    for start in range(len(nodes)):
        open_now: set[int] = set()
        pending = [(start, False)]
        while pending:
            number, done = pending.pop()
            node = nodes[number]
            if done:
                open_now.discard(number)
                counted[number] = 1 + sum(counted[inner] for inner in node.same) * (2 if node.again else 1)
                chains[number] = 1 + max((chains[inner] for inner in node.same), default=0)
                if counted[number] > MOST_EXPANSIONS:
                    message = sentence(
                        "its references and combinations come to more than {most_expansions} subschemas",
                        most_expansions=MOST_EXPANSIONS,
                    )
                    raise TooCostly(sentence("{message} for one value; use fewer $ref", message=message), node.path)
                if chains[number] > LONGEST_CHAIN:
                    message = sentence(
                        "more than {longest_chain} subschemas lead to one another", longest_chain=LONGEST_CHAIN
                    )
                    raise TooCostly(sentence("{message} for one value; use fewer $ref", message=message), node.path)
            elif number not in counted:
                if number in open_now:
                    continue
                open_now.add(number)
                pending.append((number, True))
                for inner in node.same:
                    if inner in open_now:
                        message = sentence("this leads back to itself for the same value, so it would never end")
                        raise TooCostly(
                            sentence("{message}; go into a property or an item first", message=message), node.path
                        )
                    pending.append((inner, False))


def _below(node: _Node, value: Any) -> Iterator[tuple[int, Any, int]]:
    """Generate the nodes that apply to parts of a value, and how often."""
    is_object, is_list = isinstance(value, dict), isinstance(value, list | tuple)
    times = 2 + len(value) if node.again and (is_object or is_list) else 1
    for inner in node.same:
        yield inner, value, times
    if is_object and (node.properties or node.patterns or node.members or node.names):
        for key, member in value.items():
            known = node.properties.get(key)
            if known is not None:
                yield known, member, 1
            for inner in node.patterns:
                yield inner, member, 1
            for inner in node.members if known is None else ():
                yield inner, member, 1
            for inner in node.names:
                yield inner, key, 1
    elif is_list and (node.first or node.items or node.counted):
        for inner, item in zip(node.first, value, strict=False):
            yield inner, item, 1
        for item in value:
            for inner in node.items:
                yield inner, item, 1
            for inner in node.counted:
                yield inner, item, 2


def _own(node: _Node, value: Any, weights: _Weights) -> Cost:
    """Return what a node costs by itself: each of its keywords may find a fault, which carries the value along."""
    weight = weights.of(value)
    if node.meta:
        return Cost(visits=_META_VISITS * (1 + weight), told=_META_VISITS * (_FAULT + weight))
    visits = 1 + node.choices
    if isinstance(value, str):
        visits += len(value) * node.states // _STEP
    elif isinstance(value, dict) and node.pattern_states:
        visits += sum(map(len, value)) * node.pattern_states // _STEP
    return Cost(visits=visits, told=node.keywords * (_FAULT + weight) + node.choices)


class _Weights:
    """The weight of values: one for each value inside, and one for each hundred characters."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def of(self, value: Any) -> int:
        """Return the weight of a value that lives as long as this does."""
        if not isinstance(value, dict | list | tuple):
            return _weight(value)
        known = self._known.get(id(value))
        if known is None:
            inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
            known = 1 + sum(self.of(each) for each in inner)
            if isinstance(value, dict):
                known += sum(map(len, value)) // 100
            self._known[id(value)] = known
        return known


def _weight(value: Any) -> int:
    """Return the weight of a value: how many values it holds, and one for each hundred characters; 0 for None."""
    if isinstance(value, dict):
        return 1 + sum(1 + len(key) // 100 + _weight(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return 1 + sum(map(_weight, value))
    return 1 + len(value) // 100 if isinstance(value, str) else int(value is not None)


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:  # brackets that hold no address
        return reference


def _refuse_value(why: str) -> NoReturn:
    message = sentence("this is too much for its schema: {why}; send less, or ask for a simpler form", why=why)
    raise TooCostly(message)
