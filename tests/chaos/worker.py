"""The worker of the chaos tests: Placet's own command, with a planted bug where CHAOS_PLANT names one."""

from __future__ import annotations

import os
from contextlib import nullcontext

from cli.main import app
from tests.faults.plants import PLANTS


def run() -> None:
    """Run `placet worker ARGUMENTS…`."""
    name = os.environ.get("CHAOS_PLANT")
    with PLANTS[name].planted() if name else nullcontext():
        app()


if __name__ == "__main__":
    run()
