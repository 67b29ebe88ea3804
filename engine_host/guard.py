"""Run one program that must not outlive the process that asked for it.

    python -I guard.py PARENT STATUS GRACE [KEEP …] -- PROGRAM ARGUMENT …

PARENT is the asking process, STATUS a descriptor that the program's id is written to, GRACE the seconds between
SIGTERM and SIGKILL, and KEEP descriptors (locks) that the program holds as long as it lives. Standard input controls
it: a byte asks for an orderly stop, and its end means that the parent has ended. Exits with the program's exit code,
or 128 + signal when the program was killed.

A process of its own is needed because the kernel's PR_SET_PDEATHSIG reports the end of the *thread* that started a
program, and threads of a server come and go. This process has one thread.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Start the program, stop it when asked or orphaned, and return its exit code."""
    split = arguments.index("--")
    parent, status, grace, *keep = arguments[:split]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def tie() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    stopping: list[int] = []
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    signal.signal(signal.SIGINT, lambda *_: stopping.append(1))
    child = subprocess.Popen(  # noqa: S603 - starting what it is given is what this program is for
        arguments[split + 1 :],
        stdin=subprocess.DEVNULL,
        pass_fds=[int(each) for each in keep],
        process_group=0,
        preexec_fn=tie,  # noqa: PLW1509 - there is one thread
    )
    os.write(int(status), f"{child.pid}\n".encode())
    os.close(int(status))

    orphaned = False
    while child.poll() is None and not stopping and not orphaned:
        ready, _, _ = select.select([0, woken], [], [], 1.0)
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready:
            if os.read(0, 4096):
                stopping.append(1)
            else:
                orphaned = True
        orphaned = orphaned or os.getppid() != int(parent)

    if stopping and not orphaned:
        kill(child.pid, signal.SIGTERM)
        end = time.monotonic() + float(grace)
        while child.poll() is None and time.monotonic() < end:
            if select.select([woken], [], [], 0.25)[0]:
                os.read(woken, 4096)
    # An orphan is killed at once: its store survives that, and the next start need not wait.
    kill(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


def kill(group: int, what: signal.Signals) -> None:
    """Send a signal to the program's process group; a group that has ended is ignored."""
    try:
        os.killpg(group, what)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
