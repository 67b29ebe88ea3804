"""The embedded engine on PostgreSQL verifies the database's certificate, where its address says so."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine_host.config import Ports, Postgres, free_ports, server_environment
from engine_host.database import prepare_schema, tool_environment
from engine_host.locate import Binaries, Startable
from engine_host.process import run
from placet.errors import InputInvalid, Unavailable

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
NOW = datetime.now(UTC)


def certificate(folder: Path, host: str) -> Path:
    """Write a certificate for a host that vouches for itself, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a database")])
    day = timedelta(days=1)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), NOW - day, NOW + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return folder / "cert.pem"


@dataclass
class Listener:
    """A server that begins as PostgreSQL does with TLS; `greeted` counts the clients that told it who they are."""

    port: int = 0
    greeted: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


@asynccontextmanager
async def listener(cert: Path) -> AsyncIterator[Listener]:
    """Listen with a certificate."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, cert.with_name("key.pem"))
    there = Listener()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)  # "may we speak TLS?"
            writer.write(b"S")
            await writer.start_tls(tls)
            if await reader.read(1):
                there.greeted += 1
        except (OSError, EOFError):
            pass  # it did not trust this
        finally:
            writer.close()

    server = await asyncio.start_server(converse, HERE, 0)
    there.port = server.sockets[0].getsockname()[1]
    async with server:
        yield there


# The certificate that the address names, the host that the server's is for, the mode, and whether it is trusted.
@pytest.mark.parametrize(
    ("own", "host", "mode", "trusted"),
    [
        (True, HERE, "verify-full", True),
        (False, HERE, "verify-full", False),
        (True, ELSEWHERE, "verify-full", False),
        (True, ELSEWHERE, "verify-ca", True),
        (False, HERE, "verify-ca", False),
    ],
)
async def test_no_part_of_the_engine_tells_its_password_to_a_database_that_is_another(
    own: bool, host: str, mode: str, trusted: bool, tmp_path: Path, startable: Startable
) -> None:
    assert isinstance(startable, Binaries)
    cert, stranger = certificate(tmp_path / "own", host), certificate(tmp_path / "stranger", host)
    async with listener(cert) as there:
        address = f"postgresql://placet:pw@{HERE}:{there.port}/engine"
        database = Postgres.parse(f"{address}?sslmode={mode}&sslrootcert={cert if own else stranger}")
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with pytest.raises(Unavailable):  # trusted or not, there is no database behind it
            await asyncio.to_thread(
                prepare_schema, startable.sql_tool, database, directory=tmp_path, environ=bare, progress=lambda _: None
            )
        assert (there.greeted > 0) is trusted
        tool: list[str | Path] = [startable.sql_tool, "setup-schema", "--version", "0.0"]
        server: list[str | Path] = [startable.server, "--allow-no-auth", "start"]
        of_server = server_environment(database=database, ports=free_ports(Ports()), inherited=bare)
        for program, environ in ((tool, bare | tool_environment(database, "engine")), (server, of_server)):
            there.greeted = 0
            code, said = await asyncio.to_thread(run, program, environ=environ, directory=tmp_path, timeout=30)
            assert code != 0
            assert ((there.greeted > 0), "x509" in said) == (trusted, not trusted), said


def test_an_address_that_verifies_names_what_it_verifies_with(tmp_path: Path) -> None:
    for wrong in ("verify-full", "verify-ca", f"verify-full&sslrootcert={tmp_path / 'gone.pem'}", "full"):
        with pytest.raises(InputInvalid, match="sslmode"):
            Postgres.parse(f"postgresql://placet:pw@db/engine?sslmode={wrong}")
