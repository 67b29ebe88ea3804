"""Bombs: small things that ask for a great deal of work, for each place where something comes from outside.

Each names the words of the bound that refuses it. They are made here, so that a bound that moves moves with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

EXPANSIONS = "more than 5000 subschemas"
ENDLESS = "leads back to itself for the same value"
CHAIN = "more than 50 subschemas"
STATES = "more than 50000 states"
ELSEWHERE = "other documents are never fetched"
NESTED = "nested deeper than 32 levels or has over 10000 values"
STEPS = "more than 300000 steps"
PARTS = "more than 40000 of its parts"
UNTOLD = "too many ways to tell where"


def doubling(levels: int, keyword: str, *, times: int = 2, reference: str = "$ref", **more: Any) -> Json:
    """Return a schema in which each of so many levels refers to the next `times` times."""

    def to(level: int) -> Json:
        return {reference: f"#d{level}" if reference == "$dynamicRef" else f"#/$defs/d{level}"}

    defs: Json = {}
    for level in range(levels):
        each = [to(level + 1)] * times
        inner: Json = {keyword: each}
        if keyword == "not":
            inner = {"not": {"anyOf": each}}
        elif keyword == "if":
            inner = {"if": each[0], "then": each[0], "else": each[0]}
        elif keyword == "dependentSchemas":
            inner = {keyword: {f"k{n}": one for n, one in enumerate(each)}}
        defs[f"d{level}"] = {"$dynamicAnchor": f"d{level}", **inner, **more}
    defs[f"d{levels}"] = {"$dynamicAnchor": f"d{levels}", "type": "string"}
    return {"$defs": defs, **to(0)}


def chain(length: int) -> Json:
    """Return a schema in which one reference leads to the next."""
    defs: Json = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
    return {"$defs": {**defs, f"d{length}": True}, "$ref": "#/$defs/d0"}


def inside(levels: int, keyword: str = "properties") -> Json:
    """Return a schema of so many objects or lists inside each other, written out."""
    schema: Json = {"type": "string"}
    for _ in range(levels):
        schema = {keyword: {"a": schema}} if keyword == "properties" else {keyword: schema}
    return schema


def schemas() -> Iterator[tuple[str, Json, str]]:
    """Generate schemas that are refused unused: a name, the schema, and the words of its bound."""
    keywords = ("allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas")
    for keyword in keywords:
        for levels in (13, 20, 30):
            yield f"{keyword} of {levels} levels", doubling(levels, keyword), EXPANSIONS
    for keyword in ("allOf", "anyOf", "oneOf"):
        yield f"{keyword} by dynamic references", doubling(30, keyword, reference="$dynamicRef"), EXPANSIONS
        yield f"{keyword} of 100 at a time", doubling(3, keyword, times=100), EXPANSIONS
    for key in ("unevaluatedProperties", "unevaluatedItems"):
        yield f"{key} at each level", doubling(12, "allOf", **{key: False}), EXPANSIONS
    ring = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}
    for name, schema in {
        "a reference to itself": {"$ref": "#"},
        "allOf itself": {"allOf": [{"$ref": "#"}]},
        "anyOf itself": {"anyOf": [{"type": "string"}, {"$ref": "#"}]},
        "not itself": {"not": {"$ref": "#"}},
        "itself under a condition": {"if": {"$ref": "#"}, "then": True},
        "itself by a dynamic anchor": {"$dynamicAnchor": "n", "oneOf": [{"$dynamicRef": "#n"}]},
        "itself by an anchor": {"$anchor": "n", "oneOf": [{"$ref": "#n"}]},
        "itself by its name": {"$id": "https://example.com/a", "oneOf": [{"$ref": "https://example.com/a"}]},
        "two in a ring": {**ring, "$ref": "#/$defs/a"},
        "a ring beside what is asked for": {**ring, "properties": {"x": {"$ref": "#/$defs/b"}}},
    }.items():
        yield name, schema, ENDLESS
    yield "a chain of references", chain(1_000), CHAIN
    for name, pattern in {
        "repetitions inside each other": "((a{99}){99}){99}",
        "repetitions without end": "((((a{2,}){9,}){9,}){99,}){99,}",
        "a repetition of classes": r"(\p{L}{60}){60}",
        "a repetition of brackets": "([a-z]{99}){99}",
    }.items():
        yield name, {"pattern": pattern}, STATES
        yield f"{name}, of names", {"patternProperties": {pattern: True}}, STATES
    yield "many patterns", {"allOf": [{"pattern": f"a{{{n + 500}}}"} for n in range(200)]}, STATES
    for place in (
        "https://example.com/x",
        "file:///etc/passwd",
        "other.json",
        "urn:x:y",
        "//host/x",
        "#/$defs/none",
        "#none",
        "#/$defs/a/b/c",
    ):
        yield f"a reference to {place}", {"$ref": place}, ELSEWHERE
        yield f"a dynamic reference to {place}", {"items": {"$dynamicRef": place}}, ELSEWHERE
    yield "a compound document of elsewhere", {"$id": "https://a.example/x", "$ref": "y"}, ELSEWHERE
    yield "a deep schema", inside(20), NESTED
    yield "deep items", inside(40, "items"), NESTED
    yield "a huge enum", {"enum": list(range(20_000))}, NESTED
    yield "many properties", {"properties": {f"p{n}": {"type": "string"} for n in range(6_000)}}, NESTED


def deep(levels: int, leaf: Any = 1) -> Any:
    """Return an object inside an object, so many times."""
    for _ in range(levels):
        leaf = {"a": leaf}
    return leaf


def pairs(levels: int) -> Any:
    """Return a list of two lists of two, and so on."""
    value: Any = []
    for _ in range(levels):
        value = [value, value]
    return value


def values() -> Iterator[tuple[str, Json, Any, str]]:
    """Generate schemas that can be used, with a value for which they cannot."""
    node = {"$ref": "#/$defs/n"}
    for keyword in ("anyOf", "allOf", "oneOf"):
        tree = {"$defs": {"n": {"properties": {"a": {keyword: [node, node]}}, "required": ["z"]}}, **node}
        yield f"a tree by {keyword}", tree, deep(28), STEPS
    names = {"a": node, ".": node, "^": node}
    yield "names that fit three patterns", {"$defs": {"n": {"patternProperties": names}}, **node}, deep(28), STEPS
    both = {"properties": {"a": node}, "patternProperties": {"a": node}}
    yield "a name and its pattern", {"$defs": {"n": both}, **node}, deep(28), STEPS
    looked = {"contains": node, "items": node, "prefixItems": [node, node]}
    yield "items that are looked for", {"$defs": {"n": looked}, **node}, pairs(10), STEPS
    left = {"unevaluatedProperties": node, "properties": {"a": node}, "allOf": [{"properties": {"a": node}}]}
    yield "what is left over", {"$defs": {"n": left}, **node}, deep(28), STEPS
    dynamic = {"$dynamicAnchor": "n", "anyOf": [{"properties": {"a": {"$dynamicRef": "#n"}}}] * 2}
    yield "a tree by dynamic references", dynamic, deep(28), STEPS
    ifs = {"if": {"properties": {"a": node}}, "then": {"properties": {"a": node}}}
    yield "a tree by conditions", {"$defs": {"n": ifs}, **node}, deep(30), STEPS
    options = [{"a": n} for n in range(3_000)]
    yield "a long enum for each item", {"items": {"enum": options}}, [{"a": -1}] * 3_000, STEPS
    yield "a long enum for each name", {"propertyNames": {"enum": [str(n) for n in range(5_000)]}}, _names(5_000), STEPS
    yield "a pattern and a long text", {"pattern": "(a|b){9000}"}, "ab" * 100_000, STEPS
    yield "patterns for long names", {"patternProperties": {"(a|b){9000}": True}}, {"ab" * 9_000: 1}, STEPS
    many = {f"p{n}": True for n in range(300)}
    yield "many patterns for many names", {"patternProperties": many}, _names(300), PARTS
    yield "many subschemas for many items", {"items": {"allOf": [{"type": "string"}] * 50}}, list(range(4_000)), PARTS
    alternatives = [{"type": "object", "title": str(n)} for n in range(2_000)]
    yield "alternatives for a long text", {"anyOf": alternatives}, "x" * 900_000, UNTOLD
    required = [f"r{n}" for n in range(5_000)]
    yield "names that a long object lacks", {"required": required}, {"a": "x" * 900_000}, UNTOLD
    yield "what depends on a name", {"dependentRequired": {"a": required}}, {"a": "x" * 900_000}, UNTOLD


def _names(count: int) -> Json:
    return {f"q{n}": 1 for n in range(count)}


def bodies() -> Iterator[tuple[str, bytes, str]]:
    """Generate bodies of less than a megabyte that are refused."""
    yield "lists inside each other", b"[" * 900_000, "nested deeper than 64"
    yield "lists inside each other that end", b"[" * 10_000 + b"]" * 10_000, "nested deeper than 64"
    yield "a hundred levels", b"[" * 100 + b"]" * 100, "nested deeper than 64"
    yield "objects inside each other", b'{"a":' * 100_000, "nested deeper than 64"
    yield "many values", b"[" + b"0," * 400_000 + b"0]", "more than 100000 values"
    long = b'{"' + b"x" * 600_000 + b'":[' + b"0," * 150_000 + b"0]}"
    yield "many values under one long name", long, "name is longer than 500"
    each = b'{"' + b"y" * 9_000 + b'":'
    yield (
        "long names inside each other",
        each * 60 + b"[" + b"0," * 120_000 + b"0]" + b"}" * 60,
        "name is longer than 500",
    )
    yield "a number of a million digits", b"9" * 900_000, "too large"
    yield "a fraction of a million digits", b"0." + b"9" * 900_000, "too large"
    yield "a huge exponent", b"1e999999999", "too large"
    yield "half a character under a long name", b'{"' + b"x" * 800_000 + rb'": ["\ud800"]}', "name is longer than 500"
    twice = b'{"a": 1, "a": 2}'
    yield "a name twice, among many", b"[" + twice + b",0" * 90_000 + b"]", "given twice"


def expressions() -> Iterator[tuple[str, str, str]]:
    """Generate expressions that are refused when they are compiled."""
    yield "a long one", "amount > 1 || " * 400 + "true", "more than 4000 characters"
    yield "many parts", "+".join(["n"] * 1_500) + " > 1", "split it"
    yield "brackets", "(" * 1_900 + "true" + ")" * 1_900, "split it"
    yield "a list of lists", "[" * 1_900 + "]" * 1_900, "split it"
    yield "a long list", "n in [" + ",".join("1" * 1_900) + "]", "more than 1000 parts"
    yield "a huge number", "amount > " + "9" * 3_000 + ".0", "line 1"
    yield "a huge whole number", "n > " + "9" * 3_000, "64 bits"
    yield "a huge exponent", "amount > 1e999999999", "line 1"
    yield "a pattern inside patterns", 'text.matches("((a{90}){90}){90}")', "more than 1000 states"
    yield "a long pattern", 'text.matches("' + "a" * 600 + '")', "more than 500 characters"
    yield "a pattern of groups", 'text.matches("' + "(" * 240 + "a" + ")" * 240 + '")', "20 groups"


def evaluations() -> Iterator[tuple[str, str]]:
    """Generate expressions that compile, and take too much on long lists and texts."""
    yield "loops in loops", "list.exists(x, list.exists(y, list.exists(z, x + y + z < 0)))"
    yield "all pairs", "list.all(x, list.all(y, x * y >= 0))"
    yield "pairs of texts", "texts.exists(x, texts.exists(y, x + y == ''))"
    yield "a pattern on a long text", 'text.matches("(a|aa){100}b")'
    yield "a pattern on long texts", 'texts.exists(x, x.matches("(a?){90}b"))'
    yield "comparing lists", "list.exists(x, list == list.map(y, y + 1))"
    yield "lists of lists", "texts.map(x, texts) == texts.map(x, texts)"
    yield "looking in lists", "texts.exists(x, x in texts.map(y, y + 'z'))"
    yield "filters of filters", "list.filter(x, list.filter(y, list.filter(z, z > y).size() > x).size() > 0).size() > 0"


def templates() -> Iterator[tuple[str, str, str]]:
    """Generate templates of notices that are refused, or broken off when they are rendered."""
    yield "texts joined over and over", "{{ " + "~".join(["text"] * 6_000) + " }}", "more than 200000 characters"
    joined = "~".join(["text"] * 4_000)
    yield "joined and not written", "{% if (" + joined + ")|length == 1 %}{% endif %}", "more than 200000 characters"
    yield "sums", "{{ " + "+".join(["text"] * 6_000) + " }}", "40 levels"
    yield "a text many times", "{{ text }}" * 3_000, "more than 200000 characters"
    yield "loops in loops", "{% for a in text %}{% for b in text %}{% endfor %}{% endfor %}", "more than 5000 times"
    heavy = "{{ text|upper|lower|title|trim|urlencode|length }}"
    yield "filters in a loop", "{% for a in text %}" + heavy * 600 + "{% endfor %}", "takes more than"
    yield "a long template", "x" * 40_000, "longer than 32000"
    yield "brackets", "{{ " + "(" * 15_000 + "text" + ")" * 15_000 + " }}", "nested too deeply"
    yield "conditions inside each other", "{% if text %}" * 1_000 + "{% endif %}" * 1_000, "nested"
    yield "attributes of attributes", "{{ text" + ".a" * 9_000 + " }}", "40 levels"
    yield "filters of filters", "{{ text" + "|e" * 9_000 + " }}", "40 levels"
    yield "a huge number", "{{ " + "9" * 31_000 + " }}", "too large"
    yield "a product", "{{ text * 99999999 }}", "Mul is not allowed"
    yield "a power", "{{ 9 ** 9 ** 9 }}", "Pow is not allowed"
    yield "a range", "{% for n in range(10**9) %}{% endfor %}", "not allowed"
    yield "a call", "{{ text.format(text) }}", "Call is not allowed"
    yield "the insides of Python", "{{ text.__class__.__mro__ }}", "access to attribute"
    yield "a macro", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "not allowed"
    yield "a file", "{% include '/etc/passwd' %}", "not allowed"
    yield "a recursive loop", "{% for a in rows recursive %}{{ loop(rows) }}{% endfor %}", "not allowed"
    yield "a join", "{{ rows|join(',') }}", "more than 5000 characters"


def diagrams() -> Iterator[tuple[str, bytes, str]]:
    """Generate BPMN files that are refused."""
    space = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"'
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    doctype = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'
    yield "a billion laughs", f"{doctype}<definitions {space}>&l11;</definitions>".encode(), "entities"
    blown = f'<!DOCTYPE x [<!ENTITY a "{"a" * 90_000}">]>'
    yield "one entity many times", f"{blown}<definitions {space}>{'&a;' * 90_000}</definitions>".encode(), "entities"
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    yield "an entity from outside", f"{outside}<definitions {space}>&a;</definitions>".encode(), "entities"
    subset = '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'
    yield "a document type from outside", f"{subset}<definitions {space}/>".encode(), "document type"
    yield "elements inside each other", (f"<definitions {space}>" + "<process>" * 100_000).encode(), "60 levels"
    yield "many elements", f"<definitions {space}>{'<process/>' * 90_000}</definitions>".encode(), "20000 elements"
    yield "a long file", f"<definitions {space}>{' ' * 2_000_001}</definitions>".encode(), "longer than 2000000"
    yield "no XML", b"\x00" * 1_000, "no XML"
    yield "another language", b"<svg/>", "no BPMN"


def process(**more: Any) -> Json:
    """Return a sound process of one stage, with what is given instead."""
    return {
        "name": "X",
        "version": "1.0.0",
        "owner": "user:olivia",
        "process_steps": [{"stage_name": "S", "approvers": ["role:cfo"]}],
    } | more


def deciding(*conditions: str, table: Json | None = None) -> Json:
    """Return a process that decides once, by these conditions or by a table."""
    edges: list[Json] = [{"from": "start", "to": "d"}]
    if table is None:
        edges += [{"from": "d", "to": "yes", "condition": condition} for condition in conditions]
        edges.append({"from": "d", "to": "yes", "default": True})
    nodes: list[Json] = [
        {"id": "start", "type": "trigger"},
        {"id": "d", "type": "decision"} | ({"table": table} if table is not None else {}),
        {"id": "yes", "type": "terminator", "outcome": "approved"},
    ]
    return process(
        variables=[{"name": "amount", "type": "decimal"}], graph_spec={"nodes": nodes, "edges": edges}, process_steps=[]
    )


def documents() -> Iterator[tuple[str, Json, str]]:
    """Generate blueprints that are refused before they are read, or by their shape."""
    long = "amount > 1" + " || amount > 2" * 280
    yield "long conditions", deciding(*[long] * 60), "more than 200000 characters"
    rules = [{"when": ["> 1"] * 50, "to": "yes"}] * 500
    table = {"inputs": ["amount + 1 - 1 * 2"] * 50, "rules": rules}
    yield "a table whose inputs are long", deciding(table=table), "more than 200000 characters"
    rules = [{"when": ["> 1"], "to": "yes"}] * 5_000
    yield "a table of many rules", deciding(table={"inputs": ["amount"], "rules": rules}), "at most 500"
    yield "a deep document", process(description=inside(80)), "nested deeper than 64"
    yield "many values", process(variables=[0] * 200_000), "more than 100000 values"
    yield "a long document", process(description="x" * 3_000_000), "more than 2000000 characters"
    yield "a long name", {"x" * 3_000_000: 1}, "more than 2000000"
    wrong = {"name": "a", "type": "object", "properties": {"y" * 400_000: {f"z{n}": 1 for n in range(40_000)}}}
    yield "many faults under a long name", process(variables=[wrong]), "name is longer than 500"
    wrong = {"name": "a", "type": "object", "properties": {"y" * 400: {f"z{n}": 1 for n in range(40_000)}}}
    yield "many faults", process(variables=[wrong]), "no such field"
    yield "many variables", process(variables=[{"name": f"v{n}", "type": "string"} for n in range(5_000)]), "most 200"
    shape: Json = {"type": "string"}
    for _ in range(20):
        shape = {"type": "list", "items": shape}
    yield "lists inside lists", process(variables=[{"name": "v", **shape}]), "8 lists and objects"
    pattern = {"name": "v", "type": "string", "pattern": "((a{90}){90}){90}"}
    yield "a variable's pattern", process(variables=[pattern]), "more than 1000 states"
    many = [{"stage_name": f"S{n}", "approvers": ["role:cfo"]} for n in range(2_000)]
    yield "many stages", process(process_steps=many), "most 300"
    yield "many approvers", process(process_steps=[{"stage_name": "S", "approvers": ["role:cfo"] * 5_000}]), "most 200"
    yield "managers of managers", process(owner="manager_of(" * 20 + "requester" + ")" * 20), "deeper than 8"
    yield "a huge weight", process(process_steps=[{"stage_name": "S", "quorum": {"weight": 10**15}}]), "most 1000"
    yield "many rounds", process(settings={"max_rounds": 10**9}), "most 50"
    yield "a far deadline", process(process_steps=[{"stage_name": "S", "sla_hours": 1e300}]), "most"
    reminding = {"stage_name": "S", "sla_hours": 1, "reminders": {"every_hours": 1e-300}}
    yield "reminders without end", process(process_steps=[reminding]), "millisecond"


def size(value: Any) -> int:
    """Return the bytes of a value as JSON."""
    return len(json.dumps(value))
