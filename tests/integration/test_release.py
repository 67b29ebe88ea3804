"""The wheel: the same each time, with all that it needs, and it runs outside of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.release.packages import build, digest, faults_of_wheel
from tests.release.versions import version_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("one"), "wheel")


def test_a_wheel_is_the_same_each_time_and_has_what_it_must(wheel: Path, tmp_path: Path) -> None:
    assert digest(build(ROOT, tmp_path, "wheel")) == digest(wheel)
    assert faults_of_wheel(wheel, ROOT) == []


def test_an_installed_wheel_runs_in_an_empty_folder_and_knows_nothing_of_the_repository(
    wheel: Path, tmp_path: Path
) -> None:
    # The libraries are those of this environment; its own Placet, which is editable, is not on this path.
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    (packages,) = (venv / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    uv = Path(sys.executable).parent / "uv"
    install = [str(uv), "pip", "install", "--offline", "--quiet", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True)
    (empty := tmp_path / "empty").mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLACET_HOME": str(tmp_path / "home")}

    def run(*command: str | Path, at: Path = empty) -> str:
        told = subprocess.run(command, cwd=at, env=environ, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    placet = venv / "bin" / "placet"
    assert run(placet, "--version") == f"placet {version_of(ROOT)}\n"
    places = "import cli, engine_host.config as e, engine_host.versions as v, placet; from cli.commands import demo; "
    shown = "print(placet.__file__, v.PINS.directory, v.PINS.key, e.SETTINGS, e.shared_settings(), demo.BLUEPRINTS)"
    told = run(python, "-c", places + shown)
    assert str(ROOT) not in told
    assert told.count(str(packages)) == 4
    run(placet, "init", "ours")
    assert "sound" in run(placet, "check", "blueprints/expense.json", at=empty / "ours")
    assert "0 failed" in run(placet, "test", "--require-coverage", at=empty / "ours")
