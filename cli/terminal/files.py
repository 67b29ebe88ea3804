"""Files that commands write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from placet.errors import InputInvalid


@contextmanager
def new_file(to: Path) -> Iterator[IO[bytes]]:
    """Open a file that was not there, for its owner alone; it is not left behind half written."""
    try:
        number = os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InputInvalid(f"{to} is there already; name another file.") from error
    except OSError as error:
        raise InputInvalid(f"{to} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(number, "r+b") as file:
            yield file
    except BaseException:
        to.unlink(missing_ok=True)
        raise
