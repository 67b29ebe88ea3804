"""Evidence packs for auditors: order one, see what became of it, and download it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from api.deps import Caller, Cursor, Here, Limit, ThisCall
from api.http.calls import PersonalRoute
from api.http.downloads import zip_file
from api.schemas.common import Listed
from api.schemas.evidence import EvidenceOrder, EvidencePackView
from service.evidence.packs import download, order_pack
from storage.queries.evidence import packs

router = APIRouter(prefix="/workflow/evidence-packs", tags=["evidence"], route_class=PersonalRoute)


@router.post("/", status_code=201)
async def order_evidence(context: Here, caller: Caller, call: ThisCall, body: EvidenceOrder) -> EvidencePackView:
    """Order an evidence pack of a process and a period. It is made in the background.

    Its `status` says when it is ready.
    The same seed draws the same sample from the same population.
    """
    row = await order_pack(context, context.evidence, caller, body.order(), pack_id=call.subject)
    return EvidencePackView.of(row)


@router.get("/")
async def list_evidence(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[EvidencePackView]:
    """List all evidence packs that were ever ordered, newest first."""
    page = await context.database.read(packs.page, limit=limit, cursor=cursor)
    return Listed(items=[EvidencePackView.of(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{pack_id}/")
async def read_evidence(context: Here, pack_id: str) -> EvidencePackView:
    """Show one evidence pack."""
    return EvidencePackView.of(await context.database.read(packs.get, pack_id))


@router.get("/{pack_id}/file/", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})
async def download_evidence(context: Here, caller: Caller, pack_id: str) -> StreamingResponse:
    """Download the archive of an evidence pack. `placet verify --evidence FILE` verifies it anywhere."""
    found = await download(context, caller, pack_id)
    return zip_file(found)
