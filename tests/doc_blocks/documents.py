"""JSON and other documents that pages show, held against the code that reads or writes such a document."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from pydantic import TypeAdapter, ValidationError

from placet.definition.model import definition_schema, parse_definition
from placet.errors import PlacetError
from placet.proofs import check
from service.administration.person_document import PersonDocument
from simulation.scenario.script import parse_script
from tests.documented import document

_PEOPLE = TypeAdapter(list[PersonDocument])
Call = tuple[str, str]
"""A method and a path of the API as OpenAPI writes them."""


def faults_of_json(text: str, kind: str) -> list[str]:
    """Return what is wrong with a JSON block that is said to be of a kind."""
    body, answer = kind.removeprefix("body of "), kind.removeprefix("answer of ")
    try:
        if body != kind:
            return faults_of_body(_named(body), text)
        if answer != kind:
            return faults_of_answer(_named(answer), text)
        if kind not in SHAPES:
            return [f"{kind!r} is no shape; there are {', '.join(sorted(SHAPES))}, a body and an answer"]
        SHAPES[kind](text)
    except (ValueError, ValidationError, PlacetError) as error:
        return [str(error)]
    return []


def call_of(method: str, path: str) -> Call | None:
    """Return the call that a path is one of, given whole or without /api/v1; ids may be names in capitals or $NAMES."""
    for known, calls in document()["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", r"[^/]+", re.escape(known))
        if method.lower() in calls and re.fullmatch(pattern, path if path.startswith("/api/") else f"/api/v1{path}"):
            return method, known
    return None


def faults_of_body(call: Call, text: str) -> list[str]:
    """Return what is wrong with the body of a call."""
    content = document()["paths"][call[1]][call[0].lower()]["requestBody"]["content"]
    return _against(content["application/json"]["schema"], text)


def faults_of_answer(call: Call, text: str) -> list[str]:
    """Return what is wrong with the answer to a call."""
    answers = document()["paths"][call[1]][call[0].lower()]["responses"]
    good = next(answer for status, answer in answers.items() if status.startswith("2"))
    return _against(good["content"]["application/json"]["schema"], text)


def faults_of_program(text: str) -> list[str]:
    """Return what is wrong with a program in Python: its syntax, and what it imports of this project."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [str(error)]
    return [
        f"{node.module} has no {name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
        if not hasattr(importlib.import_module(node.module), name.name)
    ]


def _named(call: str) -> Call:
    method, _, path = call.partition(" ")
    if method.lower() not in document()["paths"].get(path, {}):
        raise ValueError(f"OpenAPI has no call {call}")
    return method, path


def _against(schema: Mapping[str, Any], text: str) -> list[str]:
    whole = {**schema, "components": document()["components"]}
    return [
        f"/{'/'.join(map(str, each.instance_path))}: {each.message}"
        for each in _validator(json.dumps(whole)).iter_errors(json.loads(text))
    ]


@cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.Draft202012Validator(json.loads(schema))


def values_of(text: str) -> list[Any]:
    """Return the JSON values of a block, which follow each other with or without commas."""
    found: list[Any] = []
    at = 0
    while rest := re.match(r"[\s,]*(?=\S)", text[at:]):
        value, end = json.JSONDecoder().raw_decode(text, at + rest.end())
        found.append(value)
        at = end
        if not text[at:].strip():
            break
    return found


def _people(text: str) -> None:
    values = values_of(text)
    listed = values[0] if isinstance(values[0], list) else values
    _PEOPLE.validate_python([{"name": "Somebody", "email": "somebody@example.com", **one} for one in listed])


def _blueprint(text: str) -> None:
    raw = json.loads(text)
    found = [finding.message for finding in check(raw).findings if finding.severity == "error"]
    if found:
        raise ValueError("; ".join(found))


def _graph(text: str) -> None:
    """Nodes and edges of a blueprint, each alone."""
    shapes = definition_schema()["$defs"]
    for value in values_of(text):
        if "type" in value:
            graph = {"nodes": [value], "edges": []}
            parse_definition({"name": "Documented", "version": "1.0.0", "graph_spec": graph})
        else:
            schema = json.dumps({**shapes["EdgeDefinition"], "$defs": shapes})
            _validator(schema).validate(value)


def _script(text: str) -> None:
    parse_script(json.loads(text))


def _members(text: str) -> None:
    json.loads("{" + text + "}")


SHAPES: dict[str, Callable[[str], None]] = {
    "blueprint": _blueprint,
    "graph": _graph,
    "members": _members,  # of an object whose other members are left out
    "people": _people,
    "script": _script,
    "values": lambda text: values_of(text) and None,  # any JSON
}
