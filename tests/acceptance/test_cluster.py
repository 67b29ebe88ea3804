"""Placet on a cluster: the engine's services apart and doubled on PostgreSQL, two API and four worker processes.

`PLACET_CLUSTER_APPROVALS` says how many approvals; `make test-production` asks for 10,000.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.on_cluster import on_cluster, table
from tests.postgresql import Server

APPROVALS = int(os.environ.get("PLACET_CLUSTER_APPROVALS", "500"))
PENDING = 50


def test_many_approvals_on_a_cluster_end_once_each_others_wait_with_their_timers_and_every_process_takes_part(
    tmp_path: Path, postgresql: Server
) -> None:
    with on_cluster(tmp_path, postgresql) as placet:
        steps = [asyncio.run(placet.approve(APPROVALS)), asyncio.run(placet.start(PENDING))]
        placet.check(steps)
        sys.stderr.write(table(steps) + "\n")
