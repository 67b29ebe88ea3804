"""The store of files: a folder, or an object store by its URL. A file is named by its request and its SHA-256."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from activities.secret_files import secret_of
from placet.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_CHUNK = 256 * 1024  # bytes
_LOCAL = ("file://", "memory://")
# How long a store over the network is waited for: whoever uploads, or opens a page with files, is waiting meanwhile.
_RETRIES: RetryConfig = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=5),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
}
_CREDENTIALS = {
    "s3://": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    "az://": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_SAS_KEY"),
}
PART_BYTES = 5 * 1024 * 1024
"""What is in memory of a file that is being stored: one part at a time, the smallest that object stores take."""


class FileStore:
    """Puts, gets and deletes files; raises Unavailable where the store does not answer."""

    def __init__(self, place: str) -> None:
        """Name a store: a folder, made if it is missing, or a URL such as `s3://bucket/prefix`; empty for none.

        An object store finds its credentials where its provider's tools do, in the environment, or in the files that
        the same variables name with `_FILE` behind them.
        """
        self._place = place
        self._opened: Any = None

    @property
    def _store(self) -> Any:
        # When it is first used: most processes never need it.
        if self._opened is None:
            if not self._place:
                raise Unavailable("This process has no store of attachments; set PLACET_ATTACHMENTS_URL.")
            if self._place.startswith(_LOCAL):
                self._opened = from_url(self._place)
            elif "://" in self._place:
                self._opened = from_url(
                    self._place, config=_credentials(self._place, os.environ), retry_config=_RETRIES
                )
            else:
                Path(self._place).mkdir(mode=0o700, parents=True, exist_ok=True)
                self._opened = LocalStore(self._place)
        return self._opened

    async def put(self, request_id: str, sha256: str, file: IO[bytes]) -> None:
        """Store a file; the same one again changes nothing."""
        try:
            await obstore.put_async(
                self._store, _path(request_id, sha256), file, chunk_size=PART_BYTES, max_concurrency=1
            )
        except BaseError as error:
            raise Unavailable("The file could not be stored; send it again.") from error

    async def get(self, request_id: str, sha256: str) -> AsyncIterator[bytes]:
        """Return the bytes of a file, piece by piece; raises NotFound where it is missing."""
        try:
            found = await obstore.get_async(self._store, _path(request_id, sha256))
        except (NotFoundError, FileNotFoundError) as error:
            raise NotFound("The file is missing in the store of attachments; tell an admin.") from error
        except BaseError as error:
            raise Unavailable("The store of attachments does not answer; try again.") from error
        return _pieces(found)

    async def holds(self, request_id: str, sha256: str, size: int) -> bool:
        """Whether the store has a file of this size."""
        try:
            found = await obstore.head_async(self._store, _path(request_id, sha256))
        except (NotFoundError, FileNotFoundError):
            return False
        except BaseError as error:
            raise Unavailable("The store of attachments does not answer; try again.") from error
        return int(found["size"]) == size

    async def delete(self, request_id: str, sha256: str) -> None:
        """Delete a file; one that is not there is no error."""
        try:
            await obstore.delete_async(self._store, _path(request_id, sha256))
        except (NotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise Unavailable("The store of attachments does not answer; try again.") from error


async def _pieces(found: Any) -> AsyncIterator[bytes]:
    async for piece in found.stream(min_chunk_size=_CHUNK):
        yield bytes(piece)


def _path(request_id: str, sha256: str) -> str:
    return f"{request_id}/{sha256}"


def _credentials(place: str, environ: Mapping[str, str]) -> Any:
    """Return what files hold of an object store's credentials; raises InputInvalid for one that cannot be read."""
    variables = next((names for scheme, names in _CREDENTIALS.items() if place.startswith(scheme)), ())
    return {name: secret_of(environ, name) or "" for name in variables if environ.get(f"{name}_FILE")}
