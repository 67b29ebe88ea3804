"""Histories of every released version, which the suite replays; `python -m tests.histories` records those of this one.

A folder for each version, a file for each course of events. What is recorded stays as it is: a workflow that no longer
replays it would break requests that are running somewhere.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
VERSION = version("placet")
