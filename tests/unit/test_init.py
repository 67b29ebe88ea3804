"""`placet init`: a folder that can be checked and tested at once, and never at the cost of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from cli.new_folder.files import Example, files_of


def run(*arguments: str | Path) -> tuple[int, str]:
    printed = CliRunner().invoke(app, [*map(str, arguments)])
    return printed.exit_code, printed.output


@pytest.mark.parametrize("example", list(Example))
def test_a_new_folder_is_sound_and_its_scenarios_reach_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Example
) -> None:
    code, output = run("init", tmp_path / "ours", "--example", example)
    assert code == 0, output
    monkeypatch.chdir(tmp_path / "ours")
    monkeypatch.setenv("PLACET_HOME", str(tmp_path / "home"))
    assert run("check", *Path("blueprints").glob("*.json"))[0] == 0
    code, output = run("test", "--require-coverage")
    assert code == 0, output
    commands = [line.strip() for line in Path("README.md").read_text().splitlines() if line.startswith("placet ")]
    assert [line.split()[1] for line in commands] == ["check", "test", "up"]
    workflow = yaml.safe_load(Path(".github/workflows/blueprints.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["blueprints"]["steps"]]
    assert "placet check blueprints/*.json" in steps
    assert any(step.startswith("placet test --require-coverage --junit") for step in steps)
    assert "{{" not in "".join(path.read_text() for path in Path().rglob("*") if path.is_file())


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "people.json").symlink_to("nowhere.json")
    code, output = run("init", tmp_path)
    assert code == 2
    assert "README.md, people.json" in output
    assert (tmp_path / "README.md").read_text() == "ours"
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "people.json"}


def test_a_folder_with_other_files_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "ours.txt").write_text("ours")
    assert run("init", tmp_path)[0] == 0
    assert (tmp_path / "ours.txt").read_text() == "ours"
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        *files_of(Example.EXPENSE),
        "ours.txt",
    }


def test_what_cannot_be_made_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("a file where a folder has to be")
    code, output = run("init", tmp_path)
    assert code == 2
    assert "cannot be written" in output
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["tests"]
