"""Convert values to payloads: JSON by pydantic, with one set of type adapters for the process.

The SDK makes a converter for every workflow instance. Adapters are costly to make (milliseconds for a plan), so all
instances share them.

A dataclass is written by the adapter of its type. The SDK inspects each value instead, which takes twice as long and
ignores the stored names of fields (placet.frozen.stored_as).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import is_dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
)
from temporalio.converter import DefaultPayloadConverter as Default

_MOST_TYPES = 1024  # cached adapters; a sandbox without pass-through makes new types for each workflow


@lru_cache(_MOST_TYPES)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def prepare(workflows: Iterable[type], activities: Iterable[Callable[..., Any]]) -> None:
    """Make the adapters that workflows and activities need, before there is work.

    The first tasks of a worker come together, each on a thread of its own. Each would make the same adapter at the same
    time as all others, and where they are many, or the machine is busy, none would be ready before the SDK takes its
    workflow for deadlocked and fails the task.
    """
    kinds: list[Any] = []
    for each in workflows:
        known = workflow._Definition.must_from_class(each)
        handlers: tuple[Any, ...] = (*known.updates.values(), *known.queries.values(), *known.signals.values())
        kinds += [*(known.arg_types or ()), known.ret_type]
        for handler in handlers:
            kinds += [*(handler.arg_types or ()), getattr(handler, "ret_type", None)]
    for one in activities:
        carried_out = activity._Definition.must_from_callable(one)
        kinds += [*(carried_out.arg_types or ()), carried_out.ret_type]
    for kind in (Any, *kinds):
        if kind is not None:
            _adapter(kind)


def _json(value: object) -> bytes:
    if is_dataclass(value):
        kind: Any = type(value)
        return _adapter(kind).dump_json(value, by_alias=True)
    if isinstance(value, list | tuple) and any(map(is_dataclass, value)):
        return b"[%s]" % b",".join(map(_json, value))
    return to_json(value)


class JsonConverter(EncodingPayloadConverter):
    """Writes JSON, and reads it as the requested type."""

    @property
    def encoding(self) -> str:
        """The SDK's name of the encoding."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload:
        """Write a value. Below `Any`, a dataclass has the names of its fields."""
        return Payload(metadata={"encoding": self.encoding.encode()}, data=_json(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read a value; raises pydantic's ValidationError."""
        return _adapter(Any if type_hint is None else type_hint).validate_json(payload.data)


_JSON = JsonConverter()
_CONVERTERS = [
    _JSON if each.encoding == _JSON.encoding else each for each in Default.default_encoding_payload_converters
]


class SharedPayloadConverter(CompositePayloadConverter):
    """The SDK's converters with ours for JSON, shared by everything in the process."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


DATA_CONVERTER = DataConverter(payload_converter_class=SharedPayloadConverter)
"""The converter of every client of Placet whose payloads are not encrypted."""


def converter_with(codec: PayloadCodec | None) -> DataConverter:
    """Return the converter whose payloads a codec encodes; messages of failures become payloads too."""
    if codec is None:
        return DATA_CONVERTER
    return replace(
        DATA_CONVERTER,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
