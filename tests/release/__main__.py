"""The check of a release: run it on a clean checkout, and once more on the tagged commit."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.release.packages import build, digest, faults_of_wheel, unpacked
from tests.release.versions import faults_of_version, tags_here, version_of

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Check this checkout; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument("--tag", action="append", help="the tag that the commit is to have; by default those it has")
    parser.add_argument("--demo", action="store_true", help="run `placet demo` of the wheel as well")
    given = parser.parse_args()
    tags = given.tag or tags_here(ROOT)
    with TemporaryDirectory(prefix="placet-release-") as folder:
        for fault in checked(Path(folder), tags, demo=given.demo):
            sys.stderr.write(f"no release: {fault}\n")
            return 1
    return 0


def checked(folder: Path, tags: list[str], *, demo: bool) -> Iterator[str]:
    """Yield what is wrong, in steps: a later one is not tried where one before it found something."""
    version = version_of(ROOT)
    yield from faults_of_version(version, (ROOT / "CHANGELOG.md").read_text(), tags)
    said(f"version {version}, tags: {', '.join(tags) or 'none'}")
    wheels = [build(ROOT, folder / name, "wheel") for name in ("one", "two")]
    sdists = [build(ROOT, folder / name, "sdist") for name in ("one", "two")]
    wheels.append(build(unpacked(sdists[0], folder / "unpacked"), folder / "three", "wheel"))
    for kind, made in (("wheel", wheels), ("sdist", sdists)):
        if len({digest(one) for one in made}) != 1:
            yield f"two builds of the {kind} differ"
        size = f"{made[0].stat().st_size / 1e6:.1f} MB"
        said(f"{made[0].name}: {size}, sha256 {digest(made[0])}, the same {len(made)} times")
    yield from faults_of_wheel(wheels[0], ROOT)
    python = installed(wheels[0], folder / "venv")
    yield from runs(python.parent / "placet", folder, version, demo=demo)


def installed(wheel: Path, venv: Path) -> Path:
    """Install a wheel with the locked libraries into a new environment, and return its Python."""
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    install = [str(uv), "pip", "install", "--system-certs", "--quiet", "--python", str(python)]
    subprocess.run([*install, "--constraint", str(ROOT / "requirements.lock"), f"{wheel}[mcp]"], check=True)
    return python


def runs(placet: Path, folder: Path, version: str, *, demo: bool) -> Iterator[str]:
    """Yield which commands of an installed wheel fail, in an empty folder outside of the repository."""
    (empty := folder / "empty").mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PLACET_HOME": str(folder / "home")}
    ours = empty / "ours"
    commands: list[tuple[list[str], Path, str]] = [
        (["--version"], empty, f"placet {version}"),
        (["init", "ours"], empty, "Next, in ours:"),
        (["check", "blueprints/expense.json"], ours, "sound"),
        (["test", "--require-coverage"], ours, "0 failed"),
    ]
    if demo:
        commands.append((["demo"], empty, "approved once, claimed once"))
    for arguments, place, expected in commands:
        told = subprocess.run(
            [str(placet), *arguments],
            cwd=place,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode != 0 or expected not in told.stdout:
            output = f"{told.stdout[-3000:]}{told.stderr[-3000:]}"
            yield f"`placet {' '.join(arguments)}` ended with {told.returncode}:\n{output}"
        else:
            said(f"placet {' '.join(arguments)}: well")


def said(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
