"""A payload converter that passes values by reference: the simulator hands the same frozen values to every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter


class ByReference(PayloadConverter):
    """Keeps each value in a list, and writes its place into the payload."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Keep the values."""
        payloads = []
        for value in values:
            payloads.append(Payload(data=str(len(self._values)).encode()))
            self._values.append(value)
        return payloads

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Return the values."""
        return [self._values[int(payload.data)] for payload in payloads]


class WithoutTracebacks(DefaultFailureConverter):
    """The SDK's own converter. Nobody reads where an error was raised, and writing that down costs most."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Convert an error, and then its causes."""
        exception.__traceback__ = None
        super().to_failure(exception, payload_converter, failure)


FAILURES = WithoutTracebacks
