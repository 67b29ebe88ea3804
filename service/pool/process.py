"""A process of the pool: takes one piece of work after the other from its line, within its limits.

    python -m service.pool.process LINE LEASH PARENT MEGABYTES

LINE is the descriptor of a connection. LEASH is the descriptor of a pipe; when it closes, the parent has gone. The
process ignores SIGINT and SIGTERM: the parent handles them, and closes the pipe to end this process.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pickle import dumps, loads
from typing import Any

from placet.errors import PlacetError
from service.pool.pool import LONGEST_ANSWER

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Work until the line is closed."""
    line, leash, parent, megabytes = map(int, arguments)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    _tie(leash, parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Private memory, mapped or not: address space alone would count libraries that are shared.
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))
    connection = Connection(line)
    sys.path[:] = loads(connection.recv_bytes())  # noqa: S301 - from our parent
    while True:
        try:
            job = connection.recv_bytes()
        except EOFError:
            return
        _carry_out(connection, job)


def _tie(leash: int, parent: int) -> None:
    """End with the parent, however that ends: by the kernel's notice, and by the leash where there is none."""

    def watch() -> None:
        os.read(leash, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if sys.platform == "linux":
        # The notice is of the thread that started this process; the pool's threads live as long as the pool.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _carry_out(connection: Connection, job: bytes) -> None:
    try:
        work, arguments, telling, seconds = loads(job)  # noqa: S301 - from our parent
        _allow(seconds)
        told = {"tell": _telling(connection)} if telling else {}
        answer = dumps(("returned", work(*arguments, **told), _megabytes()))
    except MemoryError:
        connection.send(("memory", None, 0))
        os._exit(1)
    except PlacetError as error:
        answer = _raised(error)
    except Exception:
        answer = dumps(("raised", traceback.format_exc(), _megabytes()))
    if len(answer) > LONGEST_ANSWER:
        answer = dumps(("long", None, _megabytes()))
    connection.send_bytes(answer)


def _raised(error: PlacetError) -> bytes:
    """Pickle one of our errors; one that cannot be is told by its trace."""
    try:
        answer = dumps(("raised", error, _megabytes()))
        loads(answer)  # noqa: S301 - just made
    except Exception:  # its class takes something else than it keeps
        return dumps(("raised", "".join(traceback.format_exception(error)), _megabytes()))
    return answer


def _telling(connection: Connection) -> Callable[[Any], None]:
    def tell(what: Any) -> None:
        connection.send(("told", what, 0))

    return tell


def _allow(seconds: int) -> None:
    """Allow so much processor time from now on; the kernel ends the process beyond."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, hard))


def _megabytes() -> int:
    """Return what this process holds now."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - no path of ours
            return int(file.read().split()[1]) * resource.getpagesize() >> 20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main(sys.argv[1:])
