"""What the API is given when it starts: what the use cases need, and how it is reached over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from opentelemetry.trace import TracerProvider

from api.http.repeats import Repeats
from service.context import Context


@dataclass(frozen=True, kw_only=True)
class ApiContext(Context):
    """Everything that the routes need from outside; made by whoever runs the API."""

    secret: str = field(repr=False)
    """Signs decision tokens; the worker has the same."""
    metrics_token: str | None = field(default=None, repr=False)
    """What a scraper has to send as its bearer token; None lets everyone scrape."""
    tracer_provider: TracerProvider | None = None
    """Records the spans of calls; None traces nothing."""
    max_body_bytes: int = 1_000_000
    """Bodies that are longer get 413."""

    @cached_property
    def repeats(self) -> Repeats:
        """The keyed calls that are on their way in this process."""
        return Repeats()
