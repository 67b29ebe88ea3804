"""Ports for servers that tests start and that have to be told theirs."""

from __future__ import annotations

from engine_host.config import Ports, free_ports


def free_port() -> int:
    """Return a free port that no outgoing connection is given before the server listens there."""
    return free_ports(Ports()).frontend
