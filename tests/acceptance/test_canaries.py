"""A canary on a running installation: requests are split, harm reverts the new version by itself, or it is promoted."""

from __future__ import annotations

from typing import Any

from tests.contract import Placet
from tests.waiting import poll

CANARIES = "workflow-canaries/"


def begun(placet: Placet, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Begin a canary of half of the requests; return the name of its process, and it."""
    blueprint = placet.process({"stage_name": "Manager", "approvers": ["user:max"], "sla_hours": 24})
    name = placet.publish(blueprint)
    newer = {**blueprint, "version": "1.1.0", "description": "Half the time"}
    placet.post("olivia", "process-templates/", newer, expect=201)
    body = {"template": name, "version": "1.1.0", "share": 0.5, "margins": {"outcome": 0.1}, **changes}
    return name, placet.post("olivia", CANARIES, body, expect=201)


def test_requests_are_split_and_a_version_whose_requests_are_rejected_reverts_itself(placet: Placet) -> None:
    name, canary = begun(placet)
    key = placet.name()
    body = {"template": name, "input": {}}
    first = placet.post("rita", "requests/", body, expect=201, key=key)
    assert placet.post("rita", "requests/", body, expect=201, key=key)["version"] == first["version"]
    requests = [first, *(placet.start(name) for _ in range(29))]
    versions = [request["version"] for request in requests]
    assert {"1.0.0", "1.1.0"} == set(versions)
    assert placet.start(name, version="1.0.0")["version"] == "1.0.0"
    shown = placet.get("aud", f"{CANARIES}{canary['id']}/")
    assert shown["requests"]["new"] == versions.count("1.1.0")
    assert shown["requests"]["old"] == versions.count("1.0.0")  # what was named is not compared
    running = next(request for request in reversed(requests) if request["version"] == "1.1.0")
    for request in requests:
        if request["id"] != running["id"]:
            decision = "reject" if request["version"] == "1.1.0" else "approve"
            placet.decide("max", request["tasks"][0]["id"], decision, comment="As its version says.")

    def reverted() -> dict[str, Any] | None:
        found: dict[str, Any] = placet.get("olivia", f"{CANARIES}{canary['id']}/")
        return found if found["status"] == "reverted" else None

    ended = poll(reverted, what="that the canary has reverted itself")
    assert (ended["harm"]["measure"], ended["ended_by"]) == ("outcome", None)
    assert ended["harm"]["difference"]["high"] < -0.1
    assert {placet.start(name)["version"] for _ in range(4)} == {"1.0.0"}
    assert placet.get("rita", f"requests/{running['id']}/")["version"] == "1.1.0"
    acts = placet.get("aud", "admin-acts/?kind=canary_reverted")["items"]
    assert [act["actor"] for act in acts if act["detail"]["process"] == name] == ["system"]
    told = placet.place.rows(
        "SELECT DISTINCT person FROM outbox WHERE event = 'canary_reverted' AND request_id = :id",
        id=f"canary:{canary['id']}",
    )
    assert "ada" in {row[0] for row in told}
    placet.decide("max", running["tasks"][0]["id"])


def test_a_canary_is_promoted_and_its_version_is_given_to_all(placet: Placet) -> None:
    name, canary = begun(placet, share=0.1)
    placet.post("rita", f"{CANARIES}{canary['id']}/promote/", expect=404)
    ended = placet.post("ada", f"{CANARIES}{canary['id']}/promote/", {"notes": "As good."})
    assert (ended["status"], ended["ended_by"]) == ("promoted", "user:ada")
    assert {placet.start(name)["version"] for _ in range(4)} == {"1.1.0"}
    placet.post("ada", f"{CANARIES}{canary['id']}/revert/", expect=409)
