"""Where the transparency log has the decisions of a pack: `log.json`, written and verified.

Each receipt in a pack has its inclusion in itself. `log.json` has the newest `checkpoint` of that moment as a signed
note with the log's `public_key` (both null before the first one), how many receipts are `included`, and which are
`pending`: their entries are under no checkpoint yet, and are expected to be `expected_by` a moment.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from placet.audit.chain import moment
from placet.transparency.checkpoints import Checkpoint, read_signed
from placet.transparency.inclusion import Inclusion
from service.transparency.verifying import LATE
from storage.queries import receipt_keys
from storage.queries import transparency_log as log

MEMBER: Final = "log.json"


@dataclass(slots=True)
class Inclusions:
    """How many receipts say where the log has their entries, and which do not yet."""

    included: int = 0
    pending: list[dict[str, Any]] = field(default_factory=list)

    def add(self, receipt: Mapping[str, Any]) -> None:
        """Take notice of a receipt."""
        if receipt["inclusion"] is not None:
            self.included += 1
            return
        body = receipt["body"]
        self.pending.append(
            {
                **{name: body[name] for name in _PLACE},
                "expected_by": moment(datetime.fromisoformat(body["decided_at"]) + LATE),
            }
        )

    def document(self, connection: Connection) -> dict[str, Any]:
        """Return what the pack says of the log."""
        last = log.last_checkpoint(connection)
        keys = {key.id: key.key for key in receipt_keys.listed(connection)}
        public = None if last is None else keys.get(last.key_id)
        return {
            "checkpoint": None if last is None or public is None else last.note,
            "public_key": None if public is None else b64encode(public).decode(),
            "included": self.included,
            "pending": self.pending,
        }


_PLACE: Final = ("request_id", "task_id", "seq")


def faults_of_log(
    stated: Mapping[str, Any], found: Sequence[Inclusion], pending: Sequence[Mapping[str, Any]], keys: set[str]
) -> Iterator[str]:
    """Yield what does not fit together, in sentences.

    `found` are the verified inclusions of the pack's receipts, `pending` the bodies of receipts without one, and
    `keys` the installation's public keys in base64, as `keys.json` has them.
    """
    if stated["included"] != len(found) or [_place(one) for one in stated["pending"]] != [_place(x) for x in pending]:
        yield "It names other receipts as pending than those without an inclusion."
    if stated["checkpoint"] is None:
        if found:
            yield "It has no checkpoint, and receipts have one."
        return
    if stated["public_key"] not in keys:
        yield "Its checkpoint is signed with a key that is not among those of the installation."
        return
    try:
        newest = read_signed(stated["checkpoint"], b64decode(stated["public_key"]))
    except ValueError as error:
        yield f"Its checkpoint cannot be used: {error}."
        return
    for one in found:
        if b64encode(one.public_key).decode() not in keys:
            yield f"The receipt of entry {one.leaf.seq} of {one.leaf.chain} has a checkpoint that another key signed."
        elif not _agree(one.checkpoint, newest):
            yield f"The receipt of entry {one.leaf.seq} of {one.leaf.chain} has a checkpoint that contradicts this one."


def _place(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(one[name] for name in _PLACE)


def _agree(older: Checkpoint, newest: Checkpoint) -> bool:
    """Say whether a checkpoint can be of the same log as a newer one; that it is, only a proof says."""
    if older.size == newest.size:
        return older == newest
    return older.origin == newest.origin and older.size < newest.size
