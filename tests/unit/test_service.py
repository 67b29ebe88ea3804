"""The use cases stand in one place: entry points call them, and nothing else reaches the engine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "cli", "worker", "service", "simulation", "activities", "workflows", "storage", "placet", "engine_host")
# What begins a request in the engine, and what changes one that runs there.
REACHES = {"start_workflow", "execute_update", "start_update"}


def sources(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Generate the modules of these rooms, by their paths."""
    for room in rooms:
        for path in (ROOT / room).rglob("*.py"):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def calling(names: set[str], *rooms: str) -> set[str]:
    """Return the modules that call a method of one of these names."""
    return {
        path
        for path, tree in sources(*rooms)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
    }


def imported(room: str) -> dict[str, set[str]]:
    """Return what each module of a room imports, by the module's path."""
    return {
        path: {
            name
            for node in ast.walk(tree)
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
        }
        for path, tree in sources(room)
    }


def test_requests_are_started_and_changed_in_the_engine_in_one_place_and_rehearsed_in_another() -> None:
    found = {path for path in calling(REACHES, *ROOMS) if not path.startswith("simulation/")}
    # The channels of notifications have workflows of their own, which the worker that runs them starts.
    assert found - {"worker/notifications.py"} == {"service/engine/client.py"}
    (use_case,) = (
        path
        for path, tree in sources("service")
        if any(isinstance(n, ast.Attribute) and ast.unparse(n) == "engine.start" for n in ast.walk(tree))
    )
    assert use_case == "service/requests.py"


def test_the_api_and_the_worker_for_actions_start_requests_by_the_use_case() -> None:
    assert "service.requests" in imported("api")["api/routes/requests.py"]
    assert "service.requests" in imported("worker")["worker/actions.py"]


def test_the_command_line_uses_nothing_of_the_api_but_to_serve_it() -> None:
    users = {path for path, names in imported("cli").items() if any(name.split(".")[0] == "api" for name in names)}
    assert users == {"cli/http_server.py", "cli/commands/api.py"}


def test_routes_reach_neither_the_engine_nor_the_core_state_machine() -> None:
    beneath = ("temporalio", "workflows", "placet.engine.machine", "placet.engine.run", "placet.plan.compiler")
    users = {
        f"{path} {name}"
        for path, names in imported("api").items()
        for name in names
        if name.startswith(beneath) and path.startswith("api/routes/")
    }
    assert users == set()
