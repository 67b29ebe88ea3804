"""What tests of evidence packs share: packs that are taken apart, altered, and put together again."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from placet.audit.evidence import signed_manifest
from placet.audit.receipts import ReceiptKey
from service.evidence.archive import MANIFEST, ArchiveWriter
from service.evidence.verifying import Verdict, verify_evidence


def members_of(pack: bytes) -> dict[str, bytes]:
    """Return the members of a pack, as any tool reads them."""
    with ZipFile(BytesIO(pack)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Mapping[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    """Put members together in the form that packs have."""
    file = BytesIO()
    with warnings.catch_warnings(action="ignore"), ArchiveWriter(file) as archive:  # of a name that is there twice
        for name, content in members.items() if isinstance(members, Mapping) else members:
            with archive.member(name) as out:
                out.write(content)
    return file.getvalue()


def signed_again(members: Mapping[str, bytes], key: ReceiptKey, **body: Any) -> bytes:
    """Put altered members together as somebody would who has the key: with a manifest that fits them."""
    manifest = json.loads(members[MANIFEST])
    others = {name: content for name, content in members.items() if name != MANIFEST}
    files = [{"name": name, "sha256": sha256(one).hexdigest(), "size": len(one)} for name, one in others.items()]
    signed = signed_manifest(key, {**manifest["body"], "files": files, **body})
    return packed({**others, MANIFEST: signed})


def verdict_of(pack: bytes, key: str | None = None) -> Verdict:
    """Verify a pack."""
    return verify_evidence(BytesIO(pack), key)


def faulty(pack: bytes) -> list[str | None]:
    """Return the members that a pack is refused for."""
    return [fault.member for fault in verdict_of(pack).faults]
