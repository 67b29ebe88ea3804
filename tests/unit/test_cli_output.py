"""What commands print: standard output holds the answer and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from api import problems
from cli.main import app


def test_what_is_logged_does_not_get_into_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert CliRunner().invoke(app, ["check", str(tmp_path / "absent.json")]).exit_code == 2
        problems._log.warning("call_failed")
    finally:
        structlog.reset_defaults()
    written = capsys.readouterr()
    assert written.out == ""
    assert "call_failed" in written.err
