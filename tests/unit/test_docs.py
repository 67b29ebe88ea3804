"""What people can set, call or read is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from temporalio import workflow

from activities.notifications.settings import NotifySettings
from placet.audit import admin_acts
from placet.audit.chain import KINDS
from tests.documented import document
from web.access import PAGES as PAGES_OF_BROWSERS
from worker.settings import Settings
from workflows.approval import ApprovalWorkflow
from workflows.local_activities import LOCAL_RETRIES

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
AUDIT = (ROOT / "docs" / "audit.md").read_text()


@pytest.mark.parametrize("name", sorted({*Settings.model_fields, *NotifySettings.model_fields}))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`PLACET_{name.upper()}`" in OPERATIONS


def messages() -> dict[tuple[str, str], list[str]]:
    """Return the tests that docs/security.md names for each message that a request takes, by its kind and name."""
    rows = re.findall(r"^\| (\w+) \| `?(\w[\w-]*)`? \| [^|]+ \| [^|]+ \| ([^|]+) \|$", SECURITY, re.MULTILINE)
    return {(kind, name): re.findall(r"`(\w+)`", tests) for kind, name, tests in rows if name != "message"}


def activities() -> set[str]:
    """Return the names of the activities that workflows run, as their code has them."""
    run: set[str] = set()
    for path in (ROOT / "workflows").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or path.name == "local_activities.py":
                continue
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if called in {"local", "execute_activity", "start_activity"}:
                first = call.args[0]
                run.add(first.value if isinstance(first, ast.Constant) else getattr(first, "id", "?"))
    return run


def test_every_message_that_a_request_takes_is_in_the_table_of_trust_boundaries() -> None:
    taken = workflow._Definition.must_from_class(ApprovalWorkflow)
    expected = {("signal", name) for name in taken.signals} | {("update", name) for name in taken.updates}
    expected |= {("query", name) for name in taken.queries} | {("result", name) for name in activities()}
    assert {key for key in messages() if key[0] in {"signal", "update", "query", "result"}} == expected


def test_every_line_of_the_table_of_trust_boundaries_names_tests_that_there_are() -> None:
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    known = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    for message, named in messages().items():
        assert named, f"no test holds {message}"
        assert set(named) <= known, message


def test_a_local_activity_is_run_in_the_one_way_that_never_gives_up() -> None:
    for path in (ROOT / "workflows").glob("*.py"):
        source = path.read_text()
        assert ("local_activity" in source.replace("local activit", "")) == (path.name == "local_activities.py"), path
        assert "schedule_to_close" not in source, path
    # After ten attempts a timer is set, and ten more follow: tests/integration/test_long_outages.py.
    assert LOCAL_RETRIES.maximum_attempts == 10
    assert not LOCAL_RETRIES.non_retryable_error_types


def test_every_kind_of_entry_is_documented() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "placet").rglob("*.py"))
    recorded = set(re.findall(r"\.record\(\s*\"([a-z_]+)\"", source))
    assert len(recorded) > 10
    assert {kind for kind in recorded if f"`{kind}`" not in AUDIT} == set()


def test_the_kinds_that_webhooks_may_name_are_those_of_the_audit_chain() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", AUDIT, re.MULTILINE)
    assert {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)} == KINDS


def test_the_kinds_of_administrative_acts_are_documented() -> None:
    section = AUDIT.split("\n## Administrative acts\n", 1)[1].split("\n## ")[0]
    rows = re.findall(r"^\| [^|]* \| (`.*`) \|$", section, re.MULTILINE)
    assert {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)} == admin_acts.KINDS


def test_every_call_says_what_it_does() -> None:
    silent = [
        f"{method} {path}"
        for path, calls in document()["paths"].items()
        for method, call in calls.items()
        if not call.get("description")
    ]
    assert silent == []


def test_the_documents_name_only_routes_that_there_are() -> None:
    # A path may be cut short at its front: `…/{id}/extend/`, `/workflow/tasks/`; names in capitals stand for ids.
    routes = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, calls in document()["paths"].items()
        for method in calls
    }
    routes |= {(method, re.sub(r"{\w+}", "{}", path)) for method, path in map(str.split, PAGES_OF_BROWSERS)}
    unknown = [
        f"{page.name}: {method} {path}"
        for page in PAGES
        for method, path in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) ([…/][^\s`?]*)", page.read_text())
        if not any(
            method == known and route.endswith(re.sub(r"{\w+}|\b[A-Z]+\b", "{}", path).removeprefix("…"))
            for known, route in routes
        )
    ]
    assert unknown == []


def test_the_files_that_documents_name_are_there() -> None:
    # `a/b.py`, `docs/x.md`, `storage/tables/`: whatever has a slash and begins with a folder of this project.
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"build"}  # which `make` fills
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in re.findall(r"`([\w./-]+/[\w./-]*)`", page.read_text())
        if name.split("/")[0] in rooms and not (ROOT / name).exists()
    ]
    assert missing == []


def test_the_modules_that_documents_name_are_there() -> None:
    rooms = "placet|workflows|activities|storage|simulation|service|api|web|cli|worker|engine_host"
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in re.findall(rf"`((?:{rooms})(?:\.\w+)+)`", page.read_text())
        if not any(
            (ROOT / f"{path}.py").is_file() or (ROOT / path).is_dir()
            for path in (name.replace(".", "/"), name.rpartition(".")[0].replace(".", "/"))
        )
    ]
    assert missing == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {link}"
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert broken == []
