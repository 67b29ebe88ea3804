"""The HTTP API, from its OpenAPI document: a page for each group of calls, and one for the shapes of bodies."""

from __future__ import annotations

import http
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from docs.site.reference.json_schemas import Linked, kind_of, members
from docs.site.reference.markdown import code, plain, table

Document = Mapping[str, Any]
TITLE: Final = "HTTP API"

_INTRO: Final = (
    "A running installation serves the same with a form for each call at `/api/v1/docs`, and the [OpenAPI "
    "document](openapi.json) at `/api/v1/openapi.json`. [Shapes](shapes.md) has the fields of bodies and "
    "answers, and [Errors](errors.md) what is answered where a call is refused."
)


def pages(document: Document) -> dict[str, str]:
    """Return the pages of the API by their names in the folder of the reference."""
    groups: dict[str, list[tuple[str, str, Document]]] = defaultdict(list)
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            groups[(call.get("tags") or ["others"])[0]].append((method.upper(), path, call))
    known = document["components"]["schemas"]
    files = {name: name.lower().replace(" ", "-") for name in groups}
    found = {f"api/{files[name]}.md": _group(f"{TITLE}: {name}", calls, known) for name, calls in groups.items()}
    rows = [
        [f"[`{method} {path}`](api/{files[name]}.md#{_anchor(call)})", plain(_first(call))]
        for name, calls in sorted(groups.items())
        for method, path, call in calls
    ]
    return found | {"api.md": _index(document, rows), "shapes.md": _shapes(known)}


def _index(document: Document, rows: list[list[str]]) -> str:
    return "\n\n".join(
        [
            f"# {TITLE}",
            plain(document["info"]["description"]),
            _INTRO,
            table(["call", "what it does"], rows),
        ]
    )


def _group(title: str, calls: list[tuple[str, str, Document]], known: Document) -> str:
    parts = [f"# {title}"]
    for method, path, call in calls:
        parts += [
            f"## {call['summary']} {{ #{_anchor(call)} }}",
            f"`{method} {path}`",
            plain(call.get("description", "")),
            _parameters(call, known),
            _body(call, known),
            table(
                ["status", "answer"],
                [
                    [f"{status} {http.HTTPStatus(int(status)).phrase}", _answer(answer, known)]
                    for status, answer in call["responses"].items()
                ],
            ),
        ]
    return "\n\n".join(part for part in parts if part)


def _parameters(call: Document, known: Document) -> str:
    rows = []
    for each in call.get("parameters", ()):
        told = [plain(each["description"])] if each.get("description") else []
        told += ["Required."] if each.get("required") and each["in"] != "path" else []
        rows.append([code(each["name"]), each["in"], kind_of(each["schema"], known, _linked("../")), " ".join(told)])
    return table(["parameter", "in", "value", "meaning"], rows)


def _body(call: Document, known: Document) -> str:
    kinds = call.get("requestBody", {}).get("content", {})
    return " ".join(
        f"Body: {kind_of(each['schema'], known, _linked('../'))}, as {code(kind)}."
        for kind, each in kinds.items()
        if "schema" in each
    )


def _answer(answer: Document, known: Document) -> str:
    told = "" if answer["description"] == "Successful Response" else plain(answer["description"])
    if "application/problem+json" in answer.get("content", {}):
        return told
    kinds = [
        kind_of(each["schema"], known, _linked("../")) if each.get("schema") else code(kind)
        for kind, each in answer.get("content", {}).items()
    ]
    return " ".join([told, *dict.fromkeys(kinds)])


def _shapes(known: Document) -> str:
    parts = ["# Shapes of bodies and answers"]
    for name, shape in sorted(known.items()):
        parts += [f"## {name} {{ #{name.lower()} }}", plain(shape.get("description", ""))]
        parts.append(members(shape, known, _linked("")) or f"One value: {kind_of(shape, known, _linked(''))}.")
    return "\n\n".join(part for part in parts if part)


def _linked(up: str) -> Linked:
    page = f"{up}shapes.md" if up else ""
    return lambda name: f"[{name}]({page}#{name.lower()})"


def _anchor(call: Document) -> str:
    return str(call["operationId"]).replace("_", "-").strip("-")


def _first(call: Document) -> str:
    return str(call.get("description") or call["summary"]).strip().split("\n\n")[0]
