"""The links between the processes of a site, and what can be done to each: the proxies are processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.chaos.plan import LINKS
from tests.processes import end_with_parent

# The engine talks to its store more than all others together, so that link has a process for itself.
_GROUPS = (("engine>store",), tuple(name for name in LINKS if name != "engine>store"))


class Link:
    """One link, for example `worker-1>store`: who connects to `port` reaches the other process."""

    def __init__(self, name: str, port: int, proxy: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.port = port
        self._proxy = proxy

    @property
    def proxy(self) -> int:
        """The process id of the proxy."""
        return self._proxy.pid

    def to(self, target: int) -> None:
        """Lead to a port of this machine's loopback."""
        self._tell(target=target)

    def slow(self, seconds: float) -> None:
        """Add so much latency to each direction."""
        self._tell(latency=seconds)

    def cut(self) -> None:
        """Reset all connections, and refuse new ones until `heal`."""
        self._tell(do="cut")

    def stall(self) -> None:
        """Let no byte through until `heal`; connections stay."""
        self._tell(do="stall")

    def heal(self) -> None:
        """Let everything through at once again."""
        self._tell(do="heal")

    def _tell(self, **command: Any) -> None:
        assert self._proxy.stdin is not None
        self._proxy.stdin.write(json.dumps({"link": self.name} | command).encode() + b"\n")
        self._proxy.stdin.flush()


class Links(dict[str, Link]):
    """All links by their names."""

    def __init__(self) -> None:
        super().__init__()
        self._proxies: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the proxies; nothing is reached through them before `Link.to`."""
        for names in _GROUPS:
            proxy = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.proxy", *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call, from the main thread
            )
            self._proxies.append(proxy)
            assert proxy.stdout is not None
            for name, port in json.loads(proxy.stdout.readline()).items():
                self[name] = Link(name, port, proxy)

    def close(self) -> None:
        """End the proxies."""
        for proxy in self._proxies:
            proxy.kill()
            proxy.communicate()
