"""What a command loads before it does anything: what it needs, and nothing of what the large ones need."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.commands.people import load
from cli.installation import has_database
from cli.main import COMMANDS, app
from cli.terminal.lazy_commands import LazyCommand
from storage.database import driver_url
from worker.settings import Settings

BLUEPRINTS = Path(__file__).parents[2] / "blueprints"
_ENGINE = {"temporalio", "opentelemetry"}
_API = {"fastapi", "starlette", "uvicorn", "jinja2", "httpx"}
_DATABASE = {"sqlalchemy", "sqlmodel", "alembic", "psycopg"}
_PROOFS = {"z3"}
_CORE = {"pydantic", "placet"}
# Where one of these is imported, the command ends with a traceback.
_PROGRAM = """
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in forbidden:
            raise AssertionError(f"{name} was loaded")

forbidden = set(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Forbidden())
from cli.main import app
app()
"""


def _called(home: Path, *arguments: str, without: set[str]) -> subprocess.CompletedProcess[str]:
    given = {"PLACET_HOME": str(home), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", _PROGRAM, ",".join(sorted(without)), *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    asyncio.run(load(Settings(home=home), BLUEPRINTS / "people.json"))
    return home


def test_the_list_of_commands_loads_none_of_them(tmp_path: Path) -> None:
    printed = _called(tmp_path, "--help", without=_ENGINE | _API | _DATABASE | _PROOFS | _CORE)
    assert printed.returncode == 0, printed.stderr
    assert all(command.name in printed.stdout for command in COMMANDS)


@pytest.mark.parametrize("file", sorted(file.name for file in BLUEPRINTS.glob("*.json") if file.name != "people.json"))
def test_a_check_loads_the_core_alone(tmp_path: Path, file: str) -> None:
    checked = _called(tmp_path, "check", str(BLUEPRINTS / file), without=_ENGINE | _API | _DATABASE)
    assert checked.returncode == 0, checked.stderr
    assert "sound" in checked.stdout


def test_a_check_of_a_process_that_evaluates_nothing_loads_no_solver(tmp_path: Path) -> None:
    process = json.loads((BLUEPRINTS / "expense.json").read_text())
    del process["graph_spec"]  # the stages follow each other then
    (tmp_path / "straight.json").write_text(json.dumps(process))
    without = _ENGINE | _API | _DATABASE | _PROOFS
    checked = _called(tmp_path, "check", str(tmp_path / "straight.json"), without=without)
    assert checked.returncode == 0, checked.stderr
    asked = _called(tmp_path, "check", str(BLUEPRINTS / "expense.json"), without=_PROOFS)
    assert "z3 was loaded" in asked.stderr


def test_a_check_among_people_loads_the_database_and_nothing_that_serves(installation: Path) -> None:
    checked = _called(installation, "check", str(BLUEPRINTS / "expense.json"), without=_ENGINE | _API)
    assert checked.returncode == 0, checked.stderr
    assert "checked against the people" in checked.stderr


def test_a_token_loads_the_database_and_nothing_that_serves(installation: Path) -> None:
    issued = _called(installation, "token", "rita", without=_ENGINE | _API | _PROOFS | {"alembic", "holidays"})
    assert issued.returncode == 0, issued.stderr
    assert issued.stdout.startswith("placet_")


def test_a_worker_loads_nothing_of_the_api(tmp_path: Path) -> None:
    described = _called(tmp_path, "worker", "--help", without={"api", "fastapi", "starlette", "uvicorn"} | _PROOFS)
    assert described.returncode == 0, described.stderr


def test_the_engine_loads_nothing_of_a_worker(tmp_path: Path) -> None:
    workers = {"jinja2", "aiosmtpd", "obstore", "rfc3161_client", "defusedxml"}
    described = _called(tmp_path, "engine", "--help", without={"api", "fastapi", "starlette", "uvicorn"} | workers)
    assert described.returncode == 0, described.stderr


def test_a_module_that_is_forbidden_ends_the_command(tmp_path: Path) -> None:
    checked = _called(tmp_path, "check", str(BLUEPRINTS / "expense.json"), without={"pydantic"})
    assert "pydantic was loaded" in checked.stderr


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda listed: listed.name)
def test_a_command_is_listed_with_the_first_paragraph_of_its_own_help(listed: LazyCommand) -> None:
    assert " ".join(listed.load().help.partition("\n\n")[0].split()) == listed.help


def test_the_arguments_of_a_command_are_its_own() -> None:
    assert "--complete" in CliRunner().invoke(app, ["people", "load", "--help"]).output
    assert "--days" in CliRunner().invoke(app, ["token", "--help"]).output
    assert CliRunner().invoke(app, ["tokn"]).exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///{}/there.db",
        "sqlite+aiosqlite:///{}/there.db?timeout=5",
        "sqlite:///{}/absent.db",
        "sqlite:///there.db",
        "sqlite:///%2Fthere.db",
    ],
)
def test_whether_there_is_a_database_is_told_as_the_database_itself_reads_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.db").touch()
    settings = Settings(home=tmp_path, database_url=url.format(tmp_path))
    assert has_database(settings) == Path(str(driver_url(settings.database).database)).exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://there/placet", "placet.db", "sqlite"])
def test_a_database_that_cannot_be_used_is_told_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PLACET_DATABASE_URL", url)
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["check", str(BLUEPRINTS / "expense.json")]).exit_code == 2
