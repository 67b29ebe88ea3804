"""The codec server of the Temporal Web UI: it shows encrypted payloads to those who may see every request."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Here
from api.http.calls import ReadingRoute
from api.schemas.payloads import PayloadsBody, PayloadsView, PayloadView
from service.engine.payloads import readable

router = APIRouter(prefix="/codec", tags=["codec"], route_class=ReadingRoute)


@router.post("/decode")
async def decode_payloads(
    context: Here,
    body: PayloadsBody,
    _storage_refs: Annotated[str | None, Query(alias="preserveStorageRefs", include_in_schema=False)] = None,
) -> PayloadsView:
    """Decrypt payloads of the engine. For auditors and admins.

    This is the `decode` of a Temporal codec server; `encode` is left out, for nothing but Placet writes payloads. A
    payload that is not encrypted, or by a key that is not known here, is returned as it is.
    """
    shown = await readable(context.client, [each.payload for each in body.payloads])
    return PayloadsView(payloads=[PayloadView.of(each) for each in shown])
