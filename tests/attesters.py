"""A witness (C2SP tlog-witness) and a timestamp authority (RFC 3161), as real HTTP servers on this machine.

The witness shares no code with Placet: it reads what it is sent and verifies consistency by the recursion of RFC 6962.
The authority answers with OpenSSL.
"""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Answer = tuple[int, str, bytes]
"""Status, media type, body."""


@asynccontextmanager
async def serving(answer: Callable[[str, bytes], object]) -> AsyncIterator[str]:
    """Serve HTTP while the block runs: give the address; `answer` gets path and body, and may be asynchronous."""

    under_way = set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            lengths = [line.split(": ")[1] for line in head if line.lower().startswith("content-length")]
            found = answer(head[0].split()[1], await reader.readexactly(int(lengths[0])))
            status, kind, body = await found if asyncio.iscoroutine(found) else found  # type: ignore[misc]
            more = "Location: /elsewhere\r\n" if status == 302 else ""
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            under_way.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in under_way:
            task.cancel()


@dataclass
class LocalWitness:
    """A witness: it remembers the largest tree of each log, and cosigns what continues it.

    `instead` answers in its place, where it is set; `skew` is how far its clock is ahead.
    """

    name: str = "witness.example/w1"
    secret: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    logs: dict[str, bytes] = field(default_factory=dict)
    """The public keys of the logs that it knows, by their origins."""
    seen: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    instead: Callable[[str, bytes], object] | None = None
    skew: timedelta = timedelta()
    url: str = ""

    @property
    def key(self) -> str:
        """The verifier key, as its operator tells it."""
        public = b"\x04" + self.secret.public_key().public_bytes_raw()
        return f"{self.name}+{self._id.hex()}+{b64encode(public).decode()}"

    @property
    def setting(self) -> str:
        """What names it in PLACET_LOG_WITNESSES."""
        return f"{self.url} {self.key}"

    @property
    def _id(self) -> bytes:
        public = b"\x04" + self.secret.public_key().public_bytes_raw()
        return hashlib.sha256(self.name.encode() + b"\n" + public).digest()[:4]

    def answer(self, path: str, body: bytes) -> object:
        """Answer a call."""
        if self.instead is not None:
            self.statuses.append(0)
            return self.instead(path, body)
        found = self._add(body) if path == "/add-checkpoint" else (404, "text/plain", b"")
        self.statuses.append(found[0])
        return found

    def line(self, text: str) -> bytes:
        """Cosign a checkpoint with this text."""
        seconds = int((datetime.now(UTC) + self.skew).timestamp())
        value = seconds.to_bytes(8) + self.secret.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return f"\N{EM DASH} {self.name} {b64encode(self._id + value).decode()}\n".encode()

    def _add(self, body: bytes) -> Answer:
        given, _, note = body.decode().partition("\n\n")
        first, *proof = given.split("\n")
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        origin, written, root = text.removesuffix("\n").split("\n")
        old, size, claimed = int(first.removeprefix("old ")), int(written), b64decode(root)
        if origin not in self.logs:
            return 404, "text/plain", b"who is that?\n"
        if not self._is_signed(origin, text, signatures):
            return 403, "text/plain", b""
        if old > size:
            return 400, "text/plain", b""
        known, known_root = self.seen.get(origin, (0, hashlib.sha256().digest()))
        if old != known:
            return 409, "text/x.tlog.size", f"{known}\n".encode()
        if not _continues(known, known_root, size, claimed, [b64decode(one) for one in proof]):
            return 422, "text/plain", b""
        self.seen[origin] = (size, claimed)
        return 200, "text/plain; charset=utf-8", self.line(text)

    def _is_signed(self, origin: str, text: str, signatures: str) -> bool:
        public = self.logs[origin]
        key = hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
        for line in signatures.strip("\n").split("\n"):
            name, value = line.removeprefix("\N{EM DASH} ").split(" ")
            if name == origin and (raw := b64decode(value))[:4] == key:
                try:
                    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode())
                except InvalidSignature:
                    return False
                return True
        return False


def _continues(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """Verify a consistency proof by computing both roots along the recursion of RFC 6962, section 2.1.2."""
    if old == 0:
        return not proof
    given = iter(proof)
    try:
        found = _roots(old, new, given, old_root if old & (old - 1) == 0 or old == new else None, True)
    except StopIteration:
        return False
    return found == (old_root, new_root) and next(given, None) is None


def _roots(m: int, n: int, given: Iterator[bytes], known: bytes | None, whole: bool) -> tuple[bytes, bytes]:
    if m == n:
        here = known if whole and known is not None else next(given)
        return here, here
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        old, new = _roots(m, k, given, known, whole)
        return old, hashlib.sha256(b"\x01" + new + next(given)).digest()
    old, new = _roots(m - k, n - k, given, None, False)
    left = next(given)
    return hashlib.sha256(b"\x01" + left + old).digest(), hashlib.sha256(b"\x01" + left + new).digest()


_POLICY = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class LocalAuthority:
    """A timestamp authority with a root certificate of its own; OpenSSL answers, by the clock of the machine."""

    def __init__(self, folder: Path, name: str = "Time of the tests") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.url = ""
        self.asked: list[bytes] = []
        self.instead: Callable[[str, bytes], object] | None = None
        root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        # OpenSSL sends them as they come. DER wants them in the order of their bytes: the longer one last.
        self.root = _certificate(f"{name}, root".ljust(64, "."), root_key, None, root_key)
        self.signer = _certificate(name, key, self.root, root_key)
        self.certificates = folder / "root.pem"
        self.certificates.write_bytes(self.root.public_bytes(serialization.Encoding.PEM))
        (folder / "signer.pem").write_bytes(self.signer.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(_POLICY.format(folder=folder))

    def answer(self, path: str, body: bytes) -> object:
        """Answer a query."""
        self.asked.append(body)
        if self.instead is not None:
            return self.instead(path, body)
        return 200, "application/timestamp-reply", self.stamp(body)

    def stamp(self, query: bytes) -> bytes:
        """Return the answer to a query, with the root beside the signer's certificate."""
        (self.folder / "query.tsq").write_bytes(query)
        here = self.folder
        command = ["openssl", "ts", "-reply", "-config", f"{here}/tsa.cnf", "-queryfile", f"{here}/query.tsq"]
        signing = ["-signer", f"{here}/signer.pem", "-inkey", f"{here}/key.pem", "-chain", f"{here}/root.pem"]
        subprocess.run([*command, *signing, "-out", f"{here}/answer.tsr"], check=True, capture_output=True, timeout=30)
        return (here / "answer.tsr").read_bytes()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        made = made.add_extension(purpose, critical=True)
    return made.sign(issuer_key, hashes.SHA256())
