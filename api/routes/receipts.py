"""Receipts of decisions, and the keys that verify them."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Caller, Cursor, Here, Limit
from api.http.calls import PersonalRoute
from api.schemas.common import Listed
from api.schemas.receipts import ReceiptKeyView, ReceiptView
from service import receipts
from storage.queries.cursor import part

router = APIRouter(prefix="/workflow", tags=["receipts"], route_class=PersonalRoute)


@router.get("/decisions/{task_id}/receipt/")
async def read_receipt(context: Here, caller: Caller, task_id: str) -> ReceiptView:
    """Return the signed receipt of the decision on a task. `placet verify --receipt FILE` verifies it anywhere."""
    return ReceiptView.model_validate(await receipts.receipt_of(context, caller, task_id, context.secret))


@router.get("/receipt-keys/")
async def list_receipt_keys(context: Here, limit: Limit = 50, cursor: Cursor = None) -> Listed[ReceiptKeyView]:
    """List the public keys that receipts were signed with, oldest first."""
    page = part(await receipts.keys(context), limit, cursor)
    return Listed(items=[ReceiptKeyView.of(one) for one in page.items], next_cursor=page.next_cursor)
