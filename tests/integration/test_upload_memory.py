"""A large file goes through an upload in parts: it is never in memory as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from service.attachments.store import PART_BYTES

MEGABYTES = 100
# Besides one part: what the form's parser, the hash and the store hold for a moment.
MOST_KILOBYTES = 32 * 1024

# The body of a form is made as it is read, and goes the way of an upload up to the store.
UPLOAD = """
import asyncio, sys
from fastapi import Request
from api.http.uploads import bounded_by, upload_in
from service.attachments.store import FileStore

HEAD = b'--x\\r\\nContent-Disposition: form-data; name="file"; filename="large.bin"\\r\\n\\r\\n'

def peak():
    status = open("/proc/self/status").read()
    return int(status.partition("VmHWM:")[2].split()[0])

async def upload(megabytes):
    pieces = iter([HEAD, *([b"y" * 65536] * (16 * megabytes)), b"\\r\\n--x--\\r\\n", b""])
    async def receive():
        piece = next(pieces)
        return {"type": "http.request", "body": piece, "more_body": piece != b""}
    scope = {"type": "http", "headers": [(b"content-type", b"multipart/form-data; boundary=x")]}
    request = bounded_by(Request(scope, receive), 200_000_000)
    form = await request.form()
    found = await upload_in(form["file"])
    await FileStore(sys.argv[1]).put("r", found.sha256, found.file)
    await request.close()
    assert found.size == megabytes * 1024 * 1024

async def main():
    await upload(1)
    before = peak()
    await upload(int(sys.argv[2]))
    print(peak() - before)

asyncio.run(main())
"""


def test_a_file_of_a_hundred_megabytes_takes_the_memory_of_a_few_parts(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UPLOAD, str(tmp_path), str(MEGABYTES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST_KILOBYTES, f"{done.stdout} kB for parts of {PART_BYTES} bytes"
