"""Spare the SDK its walks through the payloads of every activation where nothing would become of them.

Before and after each activation the SDK visits all payloads three times: for a codec, for external storage, and for
references to it. Placet's converter has neither, so each visit only copies payloads
(docs/decisions/0020-cpu-of-an-approval.md has the figures). The SDK has no setting for it, so its two functions are
replaced, in the versions that this was tested with; in others, and for a converter with a codec or a storage, they work
as ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import temporalio
from temporalio.bridge import worker as bridge
from temporalio.converter import DataConverter
from temporalio.converter._extstore import StorageOperationMetrics

TESTED = ("1.35.0",)
"""The versions of the SDK whose functions are known."""

_PARAMETERS = {
    "decode_activation": ("activation", "data_converter", "decode_headers", "storage_concurrency_limit"),
    "encode_completion": ("completion", "data_converter", "encode_headers", "storage_concurrency_limit"),
}
_SPARED = "placet_spares_visits"


def spare_payload_visits(version: str = temporalio.__version__, module: Any = bridge) -> bool:
    """Replace the SDK's functions once, and return whether they are; `module` has them."""
    functions: dict[str, Any] = {name: getattr(module, name, None) for name in _PARAMETERS}
    if all(hasattr(function, _SPARED) for function in functions.values()):
        return True
    known = version in TESTED and all(
        inspect.iscoroutinefunction(function) and tuple(inspect.signature(function).parameters) == _PARAMETERS[name]
        for name, function in functions.items()
    )
    if known:
        for name, function in functions.items():
            setattr(module, name, _sparing(function))
    return known


def _sparing(visit: Callable[..., Awaitable[StorageOperationMetrics]]) -> Callable[..., Any]:
    @wraps(visit)
    async def sparing(message: Any, data_converter: DataConverter, **limits: Any) -> StorageOperationMetrics:
        if data_converter.payload_codec is None and data_converter.external_storage is None:
            return StorageOperationMetrics()
        return await visit(message, data_converter, **limits)

    setattr(sparing, _SPARED, True)
    return sparing
