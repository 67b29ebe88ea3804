"""The transparency log: its newest checkpoint for everybody, its leaves and proofs for those who audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from api.deps import Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.transparency_log import ConsistencyProofView, InclusionProofView, LogEntryView
from service.transparency import proofs
from storage.queries import cursor as cursors

router = APIRouter(prefix="/log", tags=["log"], route_class=PersonalRoute)

_MOST = 2**53 - 1
TreeSize = Annotated[
    int | None, Query(ge=0, le=_MOST, description="So many leaves; without it, those of the newest checkpoint.")
]


@router.get(
    "/checkpoint",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def read_checkpoint(context: Here) -> PlainTextResponse:
    """Return the newest checkpoint as a signed note (C2SP tlog-checkpoint)."""
    return PlainTextResponse(await proofs.newest_checkpoint(context))


@router.get("/timestamp", response_class=Response, responses={200: {"content": {"application/timestamp-reply": {}}}})
async def read_timestamp(context: Here, tree_size: TreeSize = None) -> Response:
    """Return the timestamp (RFC 3161) of the checkpoint over so many leaves, or the newest one there is."""
    return Response(await proofs.timestamp(context, tree_size), media_type="application/timestamp-reply")


@router.get("/entries")
async def list_entries(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[LogEntryView]:
    """List the leaves under the newest checkpoint, in their order."""
    start = 0 if cursor is None else cursors.read_number(cursor)
    rows, size = await proofs.entries(context, start, limit)
    after = start + len(rows)
    return Listed(
        items=[LogEntryView.of(row) for row in rows],
        next_cursor=cursors.write(str(after)) if rows and after < size else None,
    )


@router.get("/inclusion-proof")
async def prove_inclusion(
    context: Here, index: Annotated[int, Query(ge=0, le=_MOST)], tree_size: TreeSize = None
) -> InclusionProofView:
    """Prove that a leaf is at a place of the log."""
    return InclusionProofView.of(await proofs.inclusion_proof(context, index, tree_size))


@router.get("/consistency-proof")
async def prove_consistency(
    context: Here, first: Annotated[int, Query(ge=0, le=_MOST)], second: TreeSize = None
) -> ConsistencyProofView:
    """Prove that the log of `first` leaves is the beginning of the log of `second`: that nothing was rewritten."""
    return ConsistencyProofView.of(await proofs.consistency_proof(context, first, second))
