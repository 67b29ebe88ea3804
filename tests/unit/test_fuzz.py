"""What the fuzzing tells, and where one call leads to the next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests import fuzz
from tests.documented import document


def answered(status: int, kind: str = "application/problem+json") -> Any:
    """Return an answer as schemathesis has it."""
    headers = {"content-type": [kind]}
    request = SimpleNamespace(method="POST")
    return SimpleNamespace(status_code=status, headers=headers, request=request, text="the answer")


def called() -> Any:
    """Return a call as schemathesis has it."""
    return SimpleNamespace(operation=SimpleNamespace(label="POST /api/v1/x/"), as_curl_command=lambda: "curl x")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (answered(200, "application/json"), False),
        (answered(422), False),
        (answered(501), False),  # not set up here
        (answered(500), True),
        (answered(503), True),
        (answered(404, "text/html"), True),  # no problem document
    ],
)
def test_an_error_of_ours_is_told_with_its_role_and_call(answer: Any, wrong: bool) -> None:
    run = fuzz.Fuzzing(placet=None, seconds=0)  # type: ignore[arg-type]  # nothing is sent
    if not wrong:
        run.take("anonymous", answer, called())
        assert run.answers == {("anonymous", answer.status_code): 1}
        return
    with pytest.raises(AssertionError, match="anonymous: curl x"):
        run.take("anonymous", answer, called())


def test_a_request_leads_to_its_task_and_a_list_to_what_it_names() -> None:
    linked = fuzz._linked(document())
    started = linked["paths"]["/api/v1/workflow/requests/"]["post"]["responses"]["201"]["links"].values()
    routes = {
        call["operationId"]: f"{method.upper()} {path.removeprefix('/api/v1/workflow')}"
        for path, calls in linked["paths"].items()
        for method, call in calls.items()
    }
    ways = {(routes[link["operationId"]], *link["parameters"].items()) for link in started}
    assert ("POST /tasks/{task_id}/decide/", ("task_id", "$response.body#/tasks/0/id")) in ways
    assert ("POST /requests/{request_id}/withdraw/", ("request_id", "$response.body#/id")) in ways
    listed = linked["paths"]["/api/v1/workflow/webhooks/"]["get"]["responses"]["200"]["links"].values()
    assert {"webhook_id": "$response.body#/items/0/id"} in [link["parameters"] for link in listed]
    assert not any(path.endswith("/workflow-simulations/{simulation_id}/events/") for path in linked["paths"])
