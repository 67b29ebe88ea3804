"""What an event log may be. Each bound holds while the file is read, so that nothing is built that is too much."""

from __future__ import annotations

from typing import Final

MOST_EVENTS: Final = 2_000_000
MOST_BYTES: Final = 4_000_000_000  # of a file once it is unpacked
MOST_HEAD_BYTES: Final = 64_000_000  # of them, for a preview
HEAD_EVENTS: Final = 20_000  # that a preview reads
MOST_COLUMNS: Final = 500
MOST_ATTRIBUTES: Final = 50  # of one map
MOST_ACTIVITIES: Final = 1_000  # different ones; more are the wrong column
MOST_EVENTS_OF_A_CASE: Final = 20_000
LONGEST_VALUE: Final = 1_000  # characters of a value that is kept
LONGEST_LINE: Final = 1_000_000  # bytes of a line of CSV, or of one element of XML
DEEPEST: Final = 20  # elements inside each other
PIECE: Final = 65_536  # bytes that are read at once
