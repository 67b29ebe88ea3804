"""Calls that nobody would write, as every role, one after the other: none may end in an error of ours.

Schemathesis draws them from the OpenAPI document, valid and invalid ones, and follows links: what a call has made is
what later calls are about. `python -m tests.fuzz --seconds N` (or `make fuzz`) runs for a time, `--seed N` as before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, core, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.generation.stateful.state_machine import APIStateMachine

from tests.contract import BLUEPRINT, PEOPLE, Placet, opened

_ROLE: Final = "Fuzz-Role"  # a header that the drawn calls have, and that never leaves
ROLES: Final = {
    "requester": "rita",
    "approver": "max",
    "designer": "olivia",
    "auditor": "aud",
    "admin": "ada",
    "service": "robot",
    "agent": "bot",
    "anonymous": None,
}
_MACHINES: Final = (
    {"id": "robot", "name": "Robot", "email": "robot@example.com", "manager": "max", "actor_type": "service"},
    {"id": "bot", "name": "Bot", "email": "bot@example.com", "actor_type": "agent", "principal": "user:rita",
     "access": ["requester"]},
)  # fmt: skip
# Answers that go on for as long as they are read.
_STREAMS: Final = ("/workflow-simulations/{simulation_id}/events/",)
_EXAMPLES, _STEPS = 4, 25  # of one run of the machine
_SECONDS: Final = 60  # for one answer


@dataclass
class Fuzzing:
    """What was called, by role and status."""

    placet: Placet
    seconds: float
    seed: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    succeeded: set[tuple[str, str]] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Call until the time is over; raises what schemathesis raises for an answer that must not be."""
        document = _linked(self.placet.http.get(f"{self.placet.where['api']}/api/v1/openapi.json").json())
        _started(self.placet)
        document = _hinted(document, self.placet)
        end = time.monotonic() + self.seconds
        machine = self._machine(document, end)
        while time.monotonic() < end:
            core.global_force_seed = self.seed  # type: ignore[attr-defined]  # as pytest's --hypothesis-seed does
            try:
                run_state_machine_as_test(
                    machine,
                    settings=settings(
                        max_examples=_EXAMPLES,
                        stateful_step_count=_STEPS,
                        deadline=None,
                        database=None,
                        phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    ),
                )
            except FlakyStrategyDefinition:  # answers differ from run to run, and so does what is drawn after them
                pass
            except Exception as error:
                error.add_note(f"seed {self.seed}")
                raise
            finally:
                core.global_force_seed = None  # type: ignore[attr-defined]
            self.seed += 1

    def _machine(self, document: dict[str, Any], end: float) -> type[APIStateMachine]:
        run = self

        class Machine(schemathesis.openapi.from_dict(document).as_state_machine()):  # type: ignore[misc]
            """Sequences of calls, each as whoever the call was drawn for."""

            def before_call(self, case: Any) -> None:
                if case.query and "wait" in case.query:
                    case.query["wait"] = "0"
                drawn = str((case.headers or {}).pop(_ROLE, ""))  # may be anything, as all that is drawn
                self.role = (
                    drawn if drawn in ROLES else sorted(ROLES)[crc32(drawn.encode(errors="replace")) % len(ROLES)]
                )

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                who = ROLES[self.role]
                headers = {"Authorization": f"Bearer {run.placet.tokens[who]}"} if who else {}
                return {"base_url": run.placet.where["api"], "headers": headers, "timeout": _SECONDS}

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                run.take(self.role, response, case)

        return Machine

    def take(self, role: str, response: Any, case: Any) -> None:
        """Count an answer; AssertionError for one that no call may have."""
        self.answers[role, response.status_code] += 1
        self.reached.add(case.operation.label)
        if response.status_code < 400:
            self.succeeded.add((role, case.operation.label.replace("/api/v1", "")))
        if response.status_code == httpx.codes.UNAUTHORIZED and ROLES[role]:  # revoked, or its person made inactive
            everybody = [one | {"active": True} for one in (*PEOPLE, *_MACHINES)]
            self.placet.tokens |= self.placet.place.load(everybody)
        said = f"{role}: {case.as_curl_command()}\n{response.status_code} {response.text[:2000]}"
        # 501 says that something is not set up here, which is so.
        assert response.status_code < 500 or response.status_code == httpx.codes.NOT_IMPLEMENTED, said
        if response.status_code >= 400 and response.request.method != "HEAD":
            kind = response.headers.get("content-type", [""])[0]
            assert kind.startswith("application/problem+json"), said


def _started(placet: Placet) -> None:
    """Begin a few requests, so that there is something to decide from the start."""
    placet.tokens |= placet.place.load([*PEOPLE, *_MACHINES])
    placet.publish(BLUEPRINT | {"name": "Fuzzed expense"})
    placet.publish(
        {
            "name": "Fuzzed stage",
            "version": "1.0.0",
            "owner": "user:olivia",
            "process_steps": [{"stage_name": "Jury", "approvers": ["group:jury"], "quorum": "any", "sla_hours": 24}],
        }
    )
    for who in ("rita", "bot", "robot"):
        placet.start("Fuzzed expense", who=who, given={"amount": 7250, "department": "sales"})


def _hinted(document: dict[str, Any], placet: Placet) -> dict[str, Any]:
    """Return the document with the names of processes that there are, so that some calls begin a request."""
    names = ["Fuzzed expense", "Fuzzed stage"]
    for schema in document["components"]["schemas"].values():
        for name, of in schema.get("properties", {}).items():
            if name == "template" and of.get("type") == "string":
                schema["properties"][name] = {"anyOf": [{"enum": names}, {"enum": names}, of]}
            elif name == "input" and of.get("type") == "object":
                given = [{"amount": 1}, {"amount": "7250.00", "department": "it"}, {}]
                schema["properties"][name] = {"anyOf": [{"enum": given}, of]}
    return document


def _linked(given: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document in which answers lead to the calls about what they hold, and each call has a role."""
    document = deepcopy(given)
    for path in [path for path in document["paths"] if path.endswith(_STREAMS)]:
        del document["paths"][path]
    role = {"name": _ROLE, "in": "header", "required": True, "schema": {"enum": sorted(ROLES)}}
    about = _by_first_parameter(document)
    for path, calls in document["paths"].items():
        for call in calls.values():
            call.setdefault("parameters", []).append(role)
            for status, answer in call["responses"].items():
                if status.startswith("2"):
                    answer.setdefault("links", {}).update(_links(path, about))
    return document


def _by_first_parameter(document: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return, for each path up to its first parameter, the parameter's name and the calls below it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path, calls in document["paths"].items():
        if "{" in path:
            before, _, rest = path.partition("{")
            name = rest.partition("}")[0]
            found.setdefault(before, []).extend((name, call["operationId"]) for call in calls.values())
    return found


def _links(path: str, about: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    """Return where an answer leads: by its id, by that of the first item, and from a request to its first task."""
    collection, _, rest = path.partition("{")
    if rest.partition("}")[2] not in {"", "/"}:  # what is below leads to nothing new
        return {}
    ways = [(collection, "$response.body#/id"), (collection, "$response.body#/items/0/id")]
    if collection.endswith("/workflow/requests/"):
        ways.append((collection.replace("/requests/", "/tasks/"), "$response.body#/tasks/0/id"))
    return {
        f"{operation}{number}": {"operationId": operation, "parameters": {name: where}}
        for number, (below, where) in enumerate(ways)
        for name, operation in about.get(below, [])
    }


@contextmanager
def installed(home: Path) -> Iterator[Placet]:
    """Give an installation of its own, whose people and rights may come to anything."""
    with opened(home) as placet:
        yield placet


def main() -> None:
    """Fuzz for a time, and say what was called."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=600)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, installed(Path(folder) / "home") as placet:
        run = Fuzzing(placet, seconds=given.seconds, seed=given.seed)
        try:
            run.run()
        finally:
            told = [f"{role:>10} {status} {count:>6}" for (role, status), count in sorted(run.answers.items())]
            done = {label for _, label in run.succeeded}
            routes = f"of {len(run.reached)} routes, {len(done)} of which did what they were asked"
            sys.stdout.write("\n".join([*told, f"{sum(run.answers.values())} calls {routes}\n"]))


if __name__ == "__main__":
    main()
