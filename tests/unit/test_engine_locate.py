"""In which order an engine is looked for, and that a half one never counts. Programs are little scripts here."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine_host.cache import cache_directory
from engine_host.locate import Binaries, CommandLine, RunningServer, locate
from engine_host.versions import ROOT, TOOLS, Pins
from placet.errors import EngineMissing
from tests.waiting import PATIENCE, poll

NEW_CLI = "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"
OLD_CLI = "temporal version 1.5.0 (Server 1.29.1, UI 2.42.1)"

GO_MOD = """module x

go 1.26.0

require (
	github.com/temporalio/ui-server/v2 v2.55.0 // indirect
	go.temporal.io/server v1.32.1 // indirect
)
"""

# `go build … -o FILE PACKAGE`: writes the first half of a program, notes the call, waits if told to, writes the second.
FAKE_GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version go${FAKE_GO_VERSION:-1.26.8} linux/amd64"; exit; fi
for argument; do last=$argument; [ "$before" = -o ] && made=$argument; before=$argument; done
[ -n "$FAKE_GO_FAILS" ] && { echo "cannot compile $last"; exit 1; }
if [ -n "$FAKE_GO_CALLS" ]; then
    echo call >> "$FAKE_GO_CALLS"
    [ "$(wc -l < "$FAKE_GO_CALLS")" -lt "$FAKE_GO_ONLINE" ] && { echo 'Get "https://proxy.example/x": EOF'; exit 1; }
fi
printf '#!/bin/sh\\n' > "$made"; chmod +x "$made"
echo "$last" >> "$FAKE_GO_LOG"
while [ -e "$FAKE_GO_WAITS" ]; do sleep 0.05; done
case "$last" in *ui-server*) version=2.55.0;; *) version=1.32.1;; esac
echo "echo program version $version" >> "$made"
"""


@pytest.fixture
def pins(tmp_path: Path) -> Pins:
    (tmp_path / "module").mkdir()
    (tmp_path / "module" / "go.mod").write_text(GO_MOD)
    (tmp_path / "module" / "go.sum").write_text("sums\n")
    return Pins(directory=tmp_path / "module")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty cache, an empty PATH for programs, and no way to the internet."""
    (tmp_path / "bin").mkdir()
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1")
    return {
        **nowhere,
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PLACET_CACHE": str(tmp_path / "cache"),
        "FAKE_GO_LOG": str(tmp_path / "go.log"),
        "FAKE_GO_WAITS": str(tmp_path / "wait"),
    }


def script(environ: dict[str, str], name: str, text: str) -> Path:
    path = Path(environ["PATH"].split(":")[0]) / name
    path.write_text(text if text.startswith("#!") else f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


def fill_cache(environ: dict[str, str], pins: Pins) -> Path:
    folder = cache_directory(environ) / pins.key
    folder.mkdir(parents=True)
    for tool in TOOLS:
        (folder / tool.name).write_text(f"#!/bin/sh\necho {tool.name} version {pins.of(tool)}\n")
        (folder / tool.name).chmod(0o755)
    return folder


def test_a_running_engine_comes_first(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "temporal", NEW_CLI)
    assert locate(environ={**environ, "TEMPORAL_ADDRESS": "there:7233"}, pins=pins) == RunningServer(
        address="there:7233"
    )


def test_a_cli_on_path_comes_before_the_cache(environ: dict[str, str], pins: Pins) -> None:
    fill_cache(environ, pins)
    program = script(environ, "temporal", NEW_CLI)
    assert locate(environ=environ, pins=pins) == CommandLine(program=program, version="1.32.0")


@pytest.mark.parametrize("says", [OLD_CLI, "temporal version 0.13.0", "something else"])
def test_a_cli_that_is_too_old_or_no_cli_is_passed_over(says: str, environ: dict[str, str], pins: Pins) -> None:
    folder = fill_cache(environ, pins)
    script(environ, "temporal", says)
    found = locate(environ=environ, pins=pins)
    assert isinstance(found, Binaries)
    assert (found.server, found.version) == (folder / "temporal-server", "1.32.1")


def test_data_of_the_server_is_not_opened_with_a_cli(environ: dict[str, str], pins: Pins) -> None:
    fill_cache(environ, pins)
    script(environ, "temporal", NEW_CLI)
    assert isinstance(locate(environ=environ, pins=pins, kind="server"), Binaries)


def test_without_anything_the_engine_is_built_and_then_cached(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "go", FAKE_GO)
    told: list[str] = []
    found = locate(environ=environ, pins=pins, progress=told.append)
    assert isinstance(found, Binaries)
    assert any(line.startswith("downloading the Temporal CLI") for line in told)
    assert any(line.startswith("building the Temporal server 1.32.1 with Go, 1 of 3") for line in told)
    assert locate(environ=environ, pins=pins) == found
    assert Path(environ["FAKE_GO_LOG"]).read_text().split() == [tool.package for tool in TOOLS]


def test_a_damaged_program_in_the_cache_is_made_anew(environ: dict[str, str], pins: Pins) -> None:
    folder = fill_cache(environ, pins)
    (folder / "temporal-ui").write_bytes(b"\x7fELF half of it")
    script(environ, "go", FAKE_GO)
    assert isinstance(locate(environ=environ, pins=pins, kind="server"), Binaries)
    assert Path(environ["FAKE_GO_LOG"]).read_text().split() == [TOOLS[2].package]


def test_where_there_is_nothing_the_error_says_what_was_tried(environ: dict[str, str], pins: Pins) -> None:
    environ["PATH"] = environ["PATH"].split(":")[0]
    with pytest.raises(EngineMissing) as missing:
        locate(environ=environ, pins=pins)
    for words in ("TEMPORAL_ADDRESS", "not on PATH", "cache", "download of the Temporal CLI", "install Go 1.26.0"):
        assert words in missing.value.message


def test_a_go_that_is_too_old_is_named(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "go", FAKE_GO)
    with pytest.raises(EngineMissing, match=r"go1\.25\.1 .*install Go 1\.26\.0 or newer"):
        locate(environ={**environ, "FAKE_GO_VERSION": "1.25.1"}, pins=pins, kind="server")


def test_a_failed_build_shows_the_compilers_words(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "go", FAKE_GO)
    with pytest.raises(EngineMissing, match=r"cannot compile go\.temporal\.io/server/cmd/server"):
        locate(environ={**environ, "FAKE_GO_FAILS": "yes"}, pins=pins, kind="server")


@pytest.mark.parametrize(("online", "made"), [(3, True), (99, False)])
def test_a_build_whose_sources_do_not_come_is_tried_again(
    environ: dict[str, str], pins: Pins, monkeypatch: pytest.MonkeyPatch, online: int, made: bool
) -> None:
    script(environ, "go", FAKE_GO)
    monkeypatch.setattr("engine_host.build.PAUSES", (0, 0))
    flaky = {**environ, "FAKE_GO_CALLS": f"{environ['HOME']}/calls", "FAKE_GO_ONLINE": str(online)}
    told: list[str] = []
    if made:
        assert isinstance(locate(environ=flaky, pins=pins, kind="server", progress=told.append), Binaries)
    else:
        with pytest.raises(EngineMissing, match=r"proxy\.example"):
            locate(environ=flaky, pins=pins, kind="server", progress=told.append)
    assert sum("trying again in 0 s" in line for line in told) == 2


def finder(environ: dict[str, str], pins: Pins) -> subprocess.Popen[bytes]:
    code = (
        "import pathlib, sys; from engine_host.locate import locate; from engine_host.versions import Pins;"
        "locate(pins=Pins(directory=pathlib.Path(sys.argv[1])), kind='server')"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(pins.directory)], env=environ, cwd=ROOT)


def wait_for_build(environ: dict[str, str]) -> None:
    poll(Path(environ["FAKE_GO_LOG"]).exists, what="the build")


def test_a_build_whose_process_is_killed_leaves_nothing_that_counts(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "go", FAKE_GO)
    Path(environ["FAKE_GO_WAITS"]).touch()
    killed = finder(environ, pins)
    wait_for_build(environ)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    cache = cache_directory(environ)
    assert [made.parent.name[:8] for made in cache.rglob("temporal-*")] == [".making-"]
    Path(environ["FAKE_GO_WAITS"]).unlink()
    found = locate(environ=environ, pins=pins, kind="server")
    assert isinstance(found, Binaries)
    assert not list(cache.glob(".making-*"))


def test_two_processes_build_once(environ: dict[str, str], pins: Pins) -> None:
    script(environ, "go", FAKE_GO)
    Path(environ["FAKE_GO_WAITS"]).touch()
    both = [finder(environ, pins), finder(environ, pins)]
    wait_for_build(environ)
    Path(environ["FAKE_GO_WAITS"]).unlink()
    assert [each.wait(PATIENCE) for each in both] == [0, 0]
    assert Path(environ["FAKE_GO_LOG"]).read_text().split() == [tool.package for tool in TOOLS]
