"""How values become payloads: JSON by pydantic, with the adapters of all types made once for a process.

The SDK makes a converter for every workflow instance. Its adapters are costly to make (milliseconds for a plan) and the
same each time, so all instances share one set.
"""

from __future__ import annotations

from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter, DataConverter

_SHARED = PydanticPayloadConverter()


class SharedPayloadConverter(CompositePayloadConverter):
    """The SDK's pydantic converter, shared by everything in the process."""

    def __init__(self) -> None:
        super().__init__(*_SHARED.converters.values())


DATA_CONVERTER = DataConverter(payload_converter_class=SharedPayloadConverter)
"""What every client of ours converts with."""
