"""The errors of the HTTP API, from the tree of refusals."""

from __future__ import annotations

import http
from collections.abc import Iterator
from typing import Final, get_args

from api.http import problems
from docs.site.reference.markdown import code, plain, table
from placet.errors import ClaimFailure, PlacetError, says

_OTHERS: Final = {
    404: "There is no such address.",
    405: "The method is not allowed at this address; the header `Allow` names those that are.",
    408: "The connection was closed before the call was complete.",
    500: "Nobody foresaw this error; it is in the log. Try again; if it happens again, tell the operator.",
}

_INTRO: Final = (
    "Every error of the HTTP API is a problem document (RFC 9457) of the media type "
    f"{code(problems.MEDIA_TYPE)}: `type`, `title`, `status`, `detail` (what is wrong and what to do), and "
    "`errors`, which names each wrong place by JSON Pointer. An answer with the status 409 has a `reason` "
    "besides. 429 and 503 have the header `Retry-After`, in seconds. After a 503 the outcome is unknown: "
    "repeat the call with the same `Idempotency-Key`."
)


def page() -> str:
    """Return the page of errors."""
    rows = []
    for kind, status, name in problems.kinds():
        words = dict.fromkeys(plain(says(each)) for each in (kind, *_below(kind)) if _reported_as(each) is kind)
        rows.append([code(name), f"{status} {http.HTTPStatus(status).phrase}", problems.TITLES[kind], " ".join(words)])
    return "\n\n".join(
        [
            "# Errors",
            _INTRO,
            table(["type", "status", "title", "what it means and what to do"], rows),
            f"A refused claim ({code(problems.type_of('claim-refused'))}) has one of these as its `reason`: "
            + ", ".join(code(each) for each in get_args(ClaimFailure))
            + ".",
            "## Errors without a type of their own",
            "Their `type` is `about:blank`.",
            table(
                ["status", "what it means and what to do"],
                [[f"{status} {http.HTTPStatus(status).phrase}", text] for status, text in _OTHERS.items()],
            ),
        ]
    )


def _below(kind: type[PlacetError]) -> Iterator[type[PlacetError]]:
    for each in sorted(kind.__subclasses__(), key=lambda one: one.__name__):
        yield each
        yield from _below(each)


def _reported_as(kind: type[PlacetError]) -> type[PlacetError]:
    return next(reported for reported, _, _ in problems.kinds() if issubclass(kind, reported))
