"""Identity providers for tests: `oidc-provider-mock` in a process of its own, and one whose tokens a test makes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.waiting import until


@dataclass
class MockProvider:
    """The mock provider, which makes a new key whenever it is started."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and return once it answers."""
        command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(self.port)]
        environment = {**os.environ, "AUTHLIB_INSECURE_TRANSPORT": "1"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = await asyncio.to_thread(subprocess.Popen, command, env=environment, **quiet)

        async def answers() -> bool:
            try:
                async with httpx.AsyncClient(trust_env=False) as http:
                    return (await http.get(f"{self.issuer}/.well-known/openid-configuration")).is_success
            except httpx.TransportError:
                return False

        await until(answers, what="the identity provider")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def authorize(self, address: str, sub: str, **form: str) -> str:
        """Log somebody in there, as their browser does, and return the address that it is sent back to."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(address, data={"sub": sub, **form})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def claim(self, sub: str, **claims: Any) -> None:
        """Set what the provider says of somebody."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.put(f"{self.issuer}/users/{sub}", json=claims)
        assert answer.is_success, answer.text


@dataclass
class OwnProvider:
    """A provider whose keys the test holds, so that it signs whatever it wants."""

    issuer: str = ""
    keys: list[RSAKey] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: dict[str, Any] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)  # more of what it says of itself

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is gone."""
        self.keys = [RSAKey.generate_key(2048, auto_kid=True)]

    def sign(self, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Sign the claims of a good token with these changes; a claim that is None is left out."""
        now = int(time.time())
        good = {"iss": self.issuer, "aud": "placet", "sub": "ann", "iat": now, "exp": now + 300}
        claims = {name: value for name, value in {**good, **changes}.items() if value is not None}
        signer = key or self.keys[0]
        return jwt.encode(header or {"alg": "RS256", "kid": signer.kid}, claims, signer, algorithms=["RS256", "HS256"])


@contextmanager
def own_provider() -> Iterator[OwnProvider]:
    """Serve a provider on loopback while the block runs."""
    provider = OwnProvider()
    provider.rotate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            public = KeySet(list(provider.keys)).as_dict(private=False)
            known = {
                "issuer": provider.issuer,
                "authorization_endpoint": f"{provider.issuer}/authorize",
                "token_endpoint": f"{provider.issuer}/token",
                "jwks_uri": f"{provider.issuer}/jwks",
            }
            self.answer(public if self.path == "/jwks" else {**known, **provider.metadata})

        def do_POST(self) -> None:
            provider.received.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.answer(provider.tokens)

        def answer(self, document: Any) -> None:
            content = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
