"""The guide for agents, as it is written: its commands ask, are told what was decided, and claim once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.contract import Placet, open_tasks

GUIDE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()


def run(commands: str, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        ["bash", "-euc", commands], env={**os.environ, **more}, capture_output=True, text=True, check=True, timeout=120
    )
    return dict(json.loads(done.stdout))


def test_the_commands_of_the_guide_ask_and_claim_once(placet: Placet) -> None:
    asks, claims = [block for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) if "curl" in block]
    template = placet.publish(
        {
            "name": placet.name(),
            "version": "1.0.0",
            "variables": [{"name": "amount", "type": "decimal"}],
            "process_steps": [{"stage_name": "Approval", "approvers": ["user:max"]}],
        }
    )
    given = {
        "API": placet.where["api"],
        "TOKEN": placet.tokens["rita"],
        "EXPIRES": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    asks, claims = (commands.replace("4711", template.replace(" ", "-")) for commands in (asks, claims))
    request = run(asks.replace("Expense approval", template), **given)
    assert (request["status"], request["action"]["parameters"]["amount"]) == ("pending", 82000)
    placet.decide("max", open_tasks(request)["max"])
    action = asks.split("\n\n", maxsplit=1)[0]
    claimed = run(f"{action}\n{claims}", REQUEST=request["id"], **given)
    assert (claimed["claimed_by"], claimed["action_digest"]) == ("user:rita", request["action_digest"])
    assert run(f"{action}\n{claims}", REQUEST=request["id"], **given) == claimed
    other = claims.replace("claim-", "another-")
    assert run(f"{action}\n{other}", REQUEST=request["id"], **given)["reason"] == "already_claimed"
    larger = action.replace("82000", "820000")
    assert run(f"{larger}\n{other}", REQUEST=request["id"], **given)["reason"] == "digest_mismatch"
