"""What commands print: standard output holds the answer and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from api.http import problems
from cli.main import app


def test_what_is_logged_does_not_get_into_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLACET_HOME", str(tmp_path))
    try:
        assert CliRunner().invoke(app, ["token", "nobody"]).exit_code == 2
        problems._log.warning("call_failed")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr()
    assert written.out == ""
    assert "call_failed" in written.err


def test_an_imported_bpmn_file_is_a_sound_blueprint_on_standard_output(tmp_path: Path) -> None:
    file = Path(__file__).parents[1] / "data" / "bpmn" / "invoice.bpmn"
    printed = CliRunner().invoke(app, ["import-bpmn", str(file), "--name", "Invoice"])
    assert printed.exit_code == 0, printed.output
    blueprint = json.loads(printed.stdout)
    assert blueprint["name"] == "Invoice"
    assert "assumed" in printed.stderr
    kept = tmp_path / "invoice.json"
    kept.write_text(printed.stdout)
    checked = CliRunner().invoke(app, ["check", str(kept), "--json"])
    assert not [f for r in json.loads(checked.stdout)["files"] for f in r["findings"] if f["code"] == "schema"]
    whole = json.loads(CliRunner().invoke(app, ["import-bpmn", str(file), "--json"]).stdout)
    assert {left["kind"] for left in whole["left"]} == {"mapped", "lost", "assumed"}


def test_what_is_no_bpmn_is_refused_with_nothing_on_standard_output(tmp_path: Path) -> None:
    file = tmp_path / "some.bpmn"
    for content in ("", "<a/>", "{}"):
        file.write_text(content)
        refused = CliRunner().invoke(app, ["import-bpmn", str(file)])
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr
    assert CliRunner().invoke(app, ["import-bpmn", str(tmp_path / "absent.bpmn")]).exit_code == 2
