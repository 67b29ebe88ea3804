"""Let a starting engine know that it is alone.

A server that is killed leaves its addresses in the table of its cluster's members, and the next one spends up to
twenty seconds trying to meet it when its ports are others. The embedded engine is one process on loopback, so before
it starts, whatever the table holds of this host is of the dead.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import psycopg

from engine_host.config import CLI_FILE, HOST, SERVER_FILE, Database, Postgres
from placet.errors import Unavailable

_FORGET = "DELETE FROM cluster_membership WHERE rpc_address = "


def forget_members(store: Database) -> None:
    """Delete the members of this host from the store; the caller holds the home's lock. Raises Unavailable."""
    if isinstance(store, Path):
        for name in (SERVER_FILE, CLI_FILE):
            if (store / name).is_file():
                _forget_in_file(store / name)
    elif isinstance(store, Postgres):
        try:
            with psycopg.connect(**store.access(store.name)) as connection:
                connection.execute(_FORGET + "%s", [HOST])
        except psycopg.Error as error:
            raise Unavailable(
                f"the engine's PostgreSQL at {store.host}:{store.port} cannot be used: {error}"
            ) from error


def _forget_in_file(path: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'cluster_membership'").fetchone()
            if there:  # not in a file whose first start was interrupted
                connection.execute(_FORGET + "?", [HOST])
    except sqlite3.Error as error:
        raise Unavailable(f"the engine's data in {path} cannot be used: {error}") from error
