"""Receipts and the keys that verify them, as the API shows them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

from pydantic import ConfigDict

from api.schemas.common import Shown, View
from api.schemas.transparency_log import LeafView
from storage.queries.receipt_keys import PublicKey


class ReceiptStep(View):
    """An entry of the audit chain by which the task came to whoever decided: opened, delegated, escalated and so on."""

    seq: int
    kind: str
    entry_hash: str


class ReceiptBody(View):
    """What a receipt says: what was decided on, by whom, on whose behalf, and how they came to it."""

    request_id: str
    task_id: str
    stage: str
    round: int
    revision: int
    content_digest: str | None
    template: str
    version: str
    blueprint_digest: str
    certificate_digest: str | None
    decision: Literal["approve", "reject", "request_changes", "abstain"]
    comment: str | None
    decided_by: str
    on_behalf_of: str | None
    assigned_via: str
    path: list[ReceiptStep]
    via: str | None
    decided_at: str
    signature: dict[str, Any] | None  # of the decider, where the stage asks for one: SignatureView, or its commitment
    seq: int
    entry_hash: str


class InclusionView(View):
    """Where the log has the entry of the decision: the leaf, its audit path, and a checkpoint over it with its key."""

    leaf: LeafView
    index: int
    tree_size: int
    hashes: list[str]
    checkpoint: str
    public_key: str


class ReceiptView(View):
    """A signed receipt of one decision. The signature is over everything but itself and `inclusion`."""

    format: Literal[1]
    body: ReceiptBody
    key_id: str
    public_key: str
    signature: str
    inclusion: InclusionView | None  # None until a checkpoint is over the entry


class ReceiptKeyView(View):
    """A public key that receipts were signed with, in base64, and since when."""

    model_config = ConfigDict(frozen=True)

    key_id: str
    public_key: str
    since: Shown

    @classmethod
    def of(cls, key: PublicKey) -> ReceiptKeyView:
        """Show a key."""
        return cls(key_id=key.id, public_key=b64encode(key.key).decode(), since=key.since)
