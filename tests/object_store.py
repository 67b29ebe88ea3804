"""An object store for tests: moto's server, a stand-in for S3's protocol in a process of its own on the loopback.

It speaks what Amazon's clients and obstore speak over HTTP (parts of an upload, heads, errors as XML), keeps everything
in memory, and checks no credentials. It says nothing about what another provider does differently.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass

import httpx

from tests.waiting import until

BUCKET = "files"


@dataclass
class ObjectStore:
    """The store, with one bucket."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a process of Placet to it, as Amazon's own tools read it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    async def start(self) -> None:
        """Start it with an empty bucket, and return once it answers."""
        command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = await asyncio.to_thread(subprocess.Popen, command, env=dict(os.environ), **quiet)

        async def made() -> bool:
            try:
                return (await self._call("PUT", "", region=True)).is_success
            except httpx.TransportError:
                return False

        await until(made, what="the object store")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def keys(self) -> list[str]:
        """Return the names of all objects."""
        listed = (await self._call("GET", "?list-type=2")).text
        return [part.partition("</Key>")[0] for part in listed.split("<Key>")[1:]]

    async def content(self, key: str) -> bytes:
        return (await self._call("GET", f"/{key}")).content

    async def delete(self, key: str) -> None:
        assert (await self._call("DELETE", f"/{key}")).is_success

    async def _call(self, method: str, rest: str, *, region: bool = False) -> httpx.Response:
        place = "<LocationConstraint>eu-central-1</LocationConstraint>"
        body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>"
        # The server finds the region in the signature, which it does not check.
        scope = "test/20260302/eu-central-1/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.request(
                method,
                f"{self.address}/{BUCKET}{rest}",
                content=body if region else None,
                headers={"Authorization": signed},
            )
