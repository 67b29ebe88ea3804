"""A suggestion from the past to a running request, through the API of a running installation alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

from tests.contract import BLUEPRINT, Placet, open_tasks

PATH = "workflow-suggestions/"
APPROVED = 110  # in a row: with fewer, it is not certain that more than 95 % are


def samples(placet: Placet) -> dict[str, float]:
    """Return what Prometheus is told of suggestions."""
    text = placet.send(None, "GET", "metrics/prometheus").text
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("workflow_suggestion")]
    return {name: float(value) for name, value in lines}


def test_a_suggestion_goes_from_the_past_to_a_published_version_and_a_running_request(placet: Placet) -> None:
    name = placet.publish({**BLUEPRINT, "name": placet.name()})

    def approved(number: int) -> str:
        request = placet.start(name, given={"amount": str(100 + number), "department": "it"})
        placet.decide("max", open_tasks(request)["max"])
        return str(request["id"])

    with ThreadPoolExecutor(4) as threads:
        ids = set(threads.map(approved, range(APPROVED)))
    before = samples(placet)

    made = placet.post("olivia", f"{PATH}generate/", {"days": 30, "min_occurrences": 10, "template": name})
    assert made["created"] == len(made["items"]) > 0
    (found,) = [one for one in made["items"] if one["suggestion_type"] == "auto_approval"]
    assert (found["template"], found["version"]) == (name, "1.0.0")
    assert (found["source"], found["status"]) == ("rule", "pending")
    assert 0.95 < found["confidence"] <= 1
    assert found["supporting_data"]["count"] == APPROVED
    assert set(found["supporting_data"]["examples"]) <= ids
    assert found["backtest"]["totals"]["known"] == APPROVED
    assert not [one for one in found["findings"] if one["severity"] == "error"]

    # The command works on the same installation while it runs, and finds nothing new.
    told = json.loads(placet.place.run("suggest", "--days", "30", "--min-occurrences", "10", "--json"))
    assert name not in {item["template"] for item in told["items"]}
    # What the database holds is counted, whichever process put it there.
    after = samples(placet)
    rule = 'workflow_suggestion_total{source="rule"}'
    assert after[rule] - before[rule] == made["created"] + told["created"]
    count = "workflow_suggestion_confidence_count"
    assert after[count] - before[count] == made["created"] + told["created"]

    accepted = placet.post("olivia", f"{PATH}{found['id']}/accept/", {"notes": "They approve it anyway."})
    assert (accepted["status"], accepted["reviewed_by"]) == ("accepted", "user:olivia")
    draft = accepted["draft"]
    assert (draft["name"], draft["status"]) == (name, "draft")
    placet.post("ada", f"{PATH}{found['id']}/reject/", expect=409)
    assert placet.start(name, given={"amount": "100"})["version"] == "1.0.0"  # a draft changes nothing

    placet.post("olivia", f"process-templates/{draft['id']}/publish/")
    small = placet.start(name, given={"amount": "100", "department": "it"})
    assert small["version"] == draft["version"] != "1.0.0"
    assert (small["status"], small["outcome"], small["tasks"]) == ("completed", "approved", [])
    large = placet.start(name, given={"amount": "7200", "department": "it"})
    assert {task["stage"] for task in large["tasks"]} == {"CFO Approval"}
    placet.decide("carla", open_tasks(large)["carla"])
    assert placet.request(large)["outcome"] == "approved"
