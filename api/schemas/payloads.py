"""Payloads of the engine in the JSON form of Temporal's codec servers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Annotated

from pydantic import AfterValidator, Field
from temporalio.api.common.v1 import Payload

from api.schemas.common import Body, View

_MOST = 2000  # payloads of one call


def _is_base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except Base64Error:
        raise ValueError("write bytes in Base64") from None
    return text


Base64 = Annotated[str, AfterValidator(_is_base64)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=200)], Base64], Field(max_length=20)]


class PayloadBody(Body):
    """One payload: what says how its data is encoded, and the data."""

    metadata: Metadata = Field(default_factory=dict)
    data: Base64 = ""

    @property
    def payload(self) -> Payload:
        """Return the payload."""
        metadata = {name: b64decode(value) for name, value in self.metadata.items()}
        return Payload(metadata=metadata, data=b64decode(self.data))


class PayloadsBody(Body):
    """Payloads that are to be decoded."""

    payloads: Annotated[list[PayloadBody], Field(max_length=_MOST)]


class PayloadView(View):
    """One payload; bytes are in Base64."""

    metadata: dict[str, str]
    data: str

    @classmethod
    def of(cls, payload: Payload) -> PayloadView:
        """Show a payload."""
        metadata = {name: b64encode(value).decode() for name, value in payload.metadata.items()}
        return cls(metadata=metadata, data=b64encode(payload.data).decode())


class PayloadsView(View):
    """Payloads, in the order in which they were sent."""

    payloads: list[PayloadView]
