"""What the client sends and reads is what the OpenAPI document says, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from placet.client import routes
from placet.client.documents import Action, Me, Simulation
from placet.client.routes import BASE, Route
from tests.documented import document

PATHS = document()["paths"]
ROUTES: dict[str, Route[Any]] = {name: found for name, found in vars(routes).items() if isinstance(found, Route)}
# What the client leaves to browsers, and what a result of a simulation may have besides.
LEFT = {Me: {"csrf_token"}}
MORE = {Simulation: {"outcome"}}
UNDECLARED_BODIES = {"SIMULATE"}  # the document takes any JSON there


def operation(route: Route[Any]) -> dict[str, Any]:
    found: dict[str, Any] = PATHS[BASE + route.path][route.method.lower()]
    return found


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema behind its references, and of one that may be null the other."""
    if "$ref" in schema:
        return resolved(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        [only] = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return resolved(only)
    return schema


def answer(route: Route[Any]) -> Mapping[str, Any]:
    [success] = [one for status, one in operation(route)["responses"].items() if status.startswith("2")]
    schema = resolved(success["content"]["application/json"]["schema"])
    return resolved(schema["properties"]["items"]["items"]) if route.listed else schema


def same(kind: type, schema: Mapping[str, Any], seen: frozenset[type] = frozenset()) -> None:
    """Require that a dataclass has the fields that a schema has, and so on within."""
    if kind in seen:
        return
    names = {field.name for field in fields(kind)} - MORE.get(kind, set())
    assert names == set(schema["properties"]) - LEFT.get(kind, set()), kind
    for name, hint in get_type_hints(kind).items():
        within = [one for one in (hint, *get_args(hint)) if is_dataclass(one)]
        if within:
            inner = resolved(schema["properties"][name])
            inner = resolved(inner["items"]) if get_origin(hint) is tuple else inner
            same(within[0], inner, seen | {kind})  # type: ignore[arg-type]  # a class, as hints are


@pytest.mark.parametrize("name", ROUTES)
def test_an_answer_has_the_fields_that_the_client_reads(name: str) -> None:
    same(ROUTES[name].answer, answer(ROUTES[name]))


@pytest.mark.parametrize("name", ROUTES)
def test_the_parameters_are_those_of_the_document(name: str) -> None:
    declared = {one["name"] for one in operation(ROUTES[name]).get("parameters", ()) if one["in"] == "query"}
    assert set(ROUTES[name].query) == declared


@pytest.mark.parametrize("name", sorted(ROUTES.keys() - UNDECLARED_BODIES))
def test_a_body_has_the_fields_of_the_document(name: str) -> None:
    told = operation(ROUTES[name]).get("requestBody")
    schema = resolved(told["content"]["application/json"]["schema"])["properties"] if told else {}
    names = {one for one, told in schema.items() if not told.get("description", "").startswith("The same as")}
    assert set(ROUTES[name].body) == names


def test_an_action_has_the_fields_of_the_document() -> None:
    body = resolved(operation(routes.CLAIM)["requestBody"]["content"]["application/json"]["schema"])
    same(Action, resolved(body["properties"]["action"]))
