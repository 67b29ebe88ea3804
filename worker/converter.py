"""How values become payloads: JSON by pydantic, with the adapters of all types made once for a process.

The SDK makes a converter for every workflow instance. Its adapters are costly to make (milliseconds for a plan) and the
same each time, so all instances share one set.

A dataclass is written by the adapter of its type, as it is read. The SDK looks at each value instead, which takes twice
as long and does not know the names that fields are stored under (placet.frozen.stored_as).
"""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.converter import CompositePayloadConverter, DataConverter, EncodingPayloadConverter
from temporalio.converter import DefaultPayloadConverter as Default

_MOST_TYPES = 1024  # whose adapters are kept: a sandbox that passes nothing through makes types anew


@lru_cache(_MOST_TYPES)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _json(value: object) -> bytes:
    if is_dataclass(value):
        kind: Any = type(value)
        return _adapter(kind).dump_json(value, by_alias=True)
    if isinstance(value, list | tuple) and any(map(is_dataclass, value)):
        return b"[%s]" % b",".join(map(_json, value))
    return to_json(value)


class JsonConverter(EncodingPayloadConverter):
    """Write JSON, and read it as the type that is asked for."""

    @property
    def encoding(self) -> str:
        """Name the encoding as the SDK does."""
        return "json/plain"

    def to_payload(self, value: Any) -> Payload:
        """Write a value. Under `Any` plain JSON is expected: a dataclass there has the names of its fields."""
        return Payload(metadata={"encoding": self.encoding.encode()}, data=_json(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """Read a value; raises pydantic's ValidationError for what is none of its type."""
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
"""What every client of ours converts with."""
