"""Histories of every released version, which the suite replays; `python -m tests.histories` records those of this one.

A folder for each version, a file for each course of events. Beside it is the audit chain that the request had, an entry
a line: its number, kind and hash. What is recorded stays as it is: a workflow that no longer replays it would break
requests that are running somewhere, and one that replays to other entries would contradict what is stored of them.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from placet.audit.chain import Entry
from storage.tables.approvals import AuditEntry

FOLDER = Path(__file__).parent
# What this version writes. Its first histories, in the folder of its bare number, are from before content was sealed.
VERSION = f"{version('placet')}-sealed"


def chain_of(history: Path) -> Path:
    """Return where the chain of a recorded history is."""
    return history.with_suffix(".chain")


def line_of(entry: Entry | AuditEntry) -> str:
    """Write an entry as a line of its chain."""
    return f"{entry.seq} {entry.kind} {entry.hash}"
