"""Query parameters: unknown ones are refused, so that a misspelt filter is noticed; an empty one is as one left out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from placet.errors import InputInvalid, Problem
from placet.json_pointer import pointer_to

_LONGEST = 100  # characters of a name, as a problem shows it
_NEAR = 0.5  # the similarity from which a name is suggested
_MOST = 50  # problems that one answer names


def parameters_of(route: APIRoute) -> frozenset[str]:
    """Return the names of the query parameters that a route takes."""
    return frozenset(_names(route.dependant))


def check_parameters(request: Request, known: frozenset[str]) -> None:
    """Raise InputInvalid that names every unknown parameter, with the most similar known one."""
    unknown = list(dict.fromkeys(name for name in request.query_params if name not in known))
    if unknown:
        problems = tuple(
            Problem(pointer=pointer_to("", name[:_LONGEST]), message=_unknown(name[:_LONGEST], known))
            for name in unknown[:_MOST]
        )
        raise InputInvalid(problems=problems)


def without_empty(request: Request) -> Request:
    """Return the call without its empty parameters, which filter nothing: forms send those that nobody filled in."""
    given = request.query_params.multi_items()
    filled = [(name, value) for name, value in given if value]
    if len(filled) == len(given):
        return request
    request.scope["query_string"] = urlencode(filled).encode()
    return Request(request.scope, request.receive)


class PublicRoute(APIRoute):
    """A route that needs no token."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route in the check of its parameters."""
        handle, known = super().get_route_handler(), parameters_of(self)

        async def public(request: Request) -> Response:
            check_parameters(request, known)
            return await handle(without_empty(request))

        return public


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)


def _unknown(name: str, known: frozenset[str]) -> str:
    near = get_close_matches(name.lower(), sorted(known), 1, _NEAR)
    if near:
        return f"there is no parameter {name!r} here; did you mean {near[0]!r}?"
    there = f"there are: {', '.join(sorted(known))}" if known else "this call takes no parameters"
    return f"there is no parameter {name!r} here; {there}"
