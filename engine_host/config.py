"""The configuration of the Temporal server, the Web UI and the CLI.

The official server and its image fill the same configuration template from the environment. So settings are variables:
the shared ones in `deploy/temporal/server.env`, the others from here.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from placet.errors import EngineMissing, InputInvalid
from placet.sentences import either
from placet.shipped import shipped

HOST = "127.0.0.1"
SETTINGS = shipped("deploy/temporal")

# Below the range of outgoing connections, so that a port stays free between two runs, and not above 32767: the server's
# PostgreSQL schema stores ports of its cluster as smallint, and it does not start with a larger one.
PORT_RANGE = range(20000, 32768)
PORT_GUESSES = 100

_VERIFIED = ("verify-ca", "verify-full")
_SSL_MODES = ("disable", "allow", "prefer", "require", *_VERIFIED)

# The data files of the two kinds of engine; one kind cannot open the other's file.
SERVER_FILE = "engine.sqlite"
CLI_FILE = "cli.sqlite"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The TCP ports of an engine's listeners on loopback; 0 stands for a free port."""

    frontend: int = 0
    ui: int = 0
    frontend_http: int = 0
    frontend_membership: int = 0
    history: int = 0
    history_membership: int = 0
    matching: int = 0
    matching_membership: int = 0
    worker: int = 0
    worker_membership: int = 0


def free_ports(wanted: Ports, *, before: Ports | None = None) -> Ports:
    """Fill in free ports, those from `before` where they are still free, so that addresses stay valid.

    Raises InputInvalid when a port that was asked for by number is taken.
    """
    chosen: dict[str, int] = {}
    with ExitStack() as held:  # held together, so that no port is chosen twice
        for field in fields(Ports):
            asked: int = getattr(wanted, field.name)
            earlier: int = getattr(before, field.name) if before else 0
            guesses = [earlier] * bool(earlier) + [secrets.choice(PORT_RANGE) for _ in range(PORT_GUESSES)]
            for port in (asked,) if asked else guesses:
                listener = held.enter_context(socket.socket())
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind((HOST, port))
                    listener.listen(1)  # with SO_REUSEADDR, only listening reserves a port
                except OSError:
                    continue
                chosen[field.name] = port
                break
            else:
                raise InputInvalid(
                    f"port {asked or PORT_RANGE} for the engine's {field.name} is taken or not allowed; choose another."
                )
    return Ports(**chosen)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A PostgreSQL database for the engine; its visibility store has a second database beside it."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    sslmode: str = "prefer"
    root: str | None = None  # the file of the certificates that the server's has to come from, for verify-…

    @property
    def tls(self) -> bool:
        """Whether connections have to be encrypted."""
        return self.sslmode in {"require", *_VERIFIED}

    @property
    def verifies_host(self) -> bool:
        """Whether the server's certificate has to be for its host."""
        return self.sslmode == "verify-full"

    @property
    def visibility(self) -> str:
        """The name of the database for visibility."""
        return f"{self.name}_visibility"

    def access(self, name: str) -> dict[str, Any]:
        """Return psycopg's parameters for the database `name` on this server."""
        return {
            "dbname": name,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "sslmode": self.sslmode,
            **({} if self.root is None else {"sslrootcert": self.root}),
            "connect_timeout": 10,
        }

    @classmethod
    def parse(cls, url: str) -> Postgres:
        """Read `postgresql://user:password@host:port/name?sslmode=verify-full&sslrootcert=FILE`.

        InputInvalid never shows the password.
        """
        parts = urlsplit(url)
        remedy = "write postgresql://user:password@host:port/name"
        if not re.fullmatch(r"postgres(ql)?(\+\w+)?", parts.scheme):
            raise InputInvalid(f"the engine's database begins with {parts.scheme!r}: {remedy}.")
        try:
            port = parts.port or 5432
        except ValueError as error:
            raise InputInvalid(f"the port in the engine's database is no number: {remedy}.") from error
        name = unquote(parts.path.lstrip("/"))
        if not parts.hostname or not parts.username or not name:
            raise InputInvalid(f"the engine's database lacks a host, a user or a name: {remedy}.")
        asked = parse_qs(parts.query)
        sslmode, root = asked.get("sslmode", ["prefer"])[0], asked.get("sslrootcert", [None])[0]
        if sslmode not in _SSL_MODES:
            raise InputInvalid(f"the sslmode of the engine's database is {sslmode!r}; use {either(_SSL_MODES)}.")
        if sslmode in _VERIFIED and (root is None or not Path(root).is_file()):
            raise InputInvalid(
                f"the engine's database with sslmode={sslmode} needs sslrootcert=FILE, the PEM file of what vouches "
                "for the server's certificate."
            )
        return cls(
            host=parts.hostname,
            port=port,
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            name=name,
            sslmode=sslmode,
            root=root if sslmode in _VERIFIED else None,
        )


Database = Path | Postgres | None
"""A folder with SQLite files, a PostgreSQL database, or None for memory."""


def server_environment(*, database: Database, ports: Ports, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the server's environment: a few inherited variables, the shared settings, and those of this engine."""
    return {
        **_bare(inherited),
        **shared_settings(),
        **_database(database),
        "DYNAMIC_CONFIG_FILE_PATH": str(_file("dynamicconfig.yaml")),
        "BIND_ON_IP": HOST,
        "TEMPORAL_BROADCAST_ADDRESS": HOST,
        "FRONTEND_GRPC_PORT": str(ports.frontend),
        "FRONTEND_HTTP_PORT": str(ports.frontend_http),
        "FRONTEND_MEMBERSHIP_PORT": str(ports.frontend_membership),
        "HISTORY_GRPC_PORT": str(ports.history),
        "HISTORY_MEMBERSHIP_PORT": str(ports.history_membership),
        "MATCHING_GRPC_PORT": str(ports.matching),
        "MATCHING_MEMBERSHIP_PORT": str(ports.matching_membership),
        "WORKER_GRPC_PORT": str(ports.worker),
        "WORKER_MEMBERSHIP_PORT": str(ports.worker_membership),
    }


def shared_settings() -> dict[str, str]:
    """Read `deploy/temporal/server.env`, in the form that Docker Compose reads: `NAME=value` lines and comments."""
    lines = _file("server.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def cli_arguments(*, folder: Path | None, ports: Ports, ui: bool, codec: str | None = None) -> list[str]:
    """Return the arguments of `temporal` that start the same server; `folder` None keeps data in memory.

    `codec` is the address of the codec server for the Web UI.
    """
    arguments = ["server", "start-dev", "--ip", HOST, "--port", str(ports.frontend), "--log-level", "warn"]
    arguments += ["--http-port", str(ports.frontend_http)]
    arguments += ["--ui-ip", HOST, "--ui-port", str(ports.ui)] if ui else ["--headless"]
    if ui and codec:
        arguments += ["--ui-codec-endpoint", codec]
    if folder:
        arguments += ["--db-filename", str(folder / CLI_FILE)]
        arguments += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=2"]
    for key, values in yaml.safe_load(_file("dynamicconfig.yaml").read_text(encoding="utf-8")).items():
        arguments += ["--dynamic-config-value", f"{key}={json.dumps(values[0]['value'])}"]
    return arguments


def write_ui_config(folder: Path, *, ports: Ports, codec: str | None = None) -> None:
    """Write the Web UI's configuration as `folder`/development.yaml (JSON, which is YAML).

    `codec` is the address of the codec server, to which browsers send the cookie of their session.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://{HOST}:{ports.ui}"
    settings: dict[str, Any] = {
        "temporalGrpcAddress": f"{HOST}:{ports.frontend}",
        "host": HOST,
        "port": ports.ui,
        "enableUi": True,
        "defaultNamespace": "default",
        "disableNewsFetch": True,
        "notifyOnNewVersion": False,
        "cors": {"cookieInsecure": True, "allowOrigins": [url]},
    }
    if codec is not None:
        settings["codec"] = {"endpoint": codec, "passAccessToken": False, "includeCredentials": True}
    (folder / "development.yaml").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def as_dict(ports: Ports) -> dict[str, int]:
    """Return the ports by name, as they are kept beside the data."""
    return asdict(ports)


def _bare(inherited: Mapping[str, str]) -> dict[str, str]:
    # No other variables: a TEMPORAL_… or SQL_… variable of the user would configure the server.
    return {
        name: inherited[name] for name in ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE") if name in inherited
    }


def _database(database: Database) -> dict[str, str]:
    if isinstance(database, Postgres):
        return {
            "DB": "postgres12_pgx",
            "POSTGRES_SEEDS": _quoted(database.host),
            "DB_PORT": str(database.port),
            "POSTGRES_USER": _quoted(database.user),
            "POSTGRES_PWD": _quoted(database.password),
            "DBNAME": _quoted(database.name),
            "VISIBILITY_DBNAME": _quoted(database.visibility),
            "SQL_TLS_ENABLED": str(database.tls).lower(),
            "SQL_HOST_VERIFICATION": str(database.verifies_host).lower(),
            **({} if database.root is None else {"SQL_CA": json.dumps(database.root)}),
        }
    # One connection each, since SQLite has one writer per file.
    common = {"DB": "sqlite", "SQL_MAX_CONNS": "1", "SQL_MAX_IDLE_CONNS": "1", "SQL_VIS_MAX_CONNS": "1"}
    common["SQL_VIS_MAX_IDLE_CONNS"] = "1"
    if database is None:
        return {
            **common,
            "DBNAME": "temporal",
            "VISIBILITY_DBNAME": "visibility",
            "SQLITE_MODE": "memory",
            "SQLITE_CACHE": "shared",
        }
    return {
        **common,
        "DBNAME": _quoted(str(database / SERVER_FILE)),
        "VISIBILITY_DBNAME": _quoted(str(database / "visibility.sqlite")),
        "SQLITE_MODE": "rwc",
        "SQLITE_SETUP": "true",  # creates missing tables only
        "SQLITE_JOURNAL_MODE": "wal",
        "SQLITE_SYNCHRONOUS": "2",  # acknowledged writes are on the disk
    }


def _quoted(value: str) -> str:
    """Escape a value for the double quotes that the server's template puts around it."""
    return json.dumps(value)[1:-1]


def _file(name: str) -> Path:
    path = SETTINGS / name
    if not path.is_file():
        raise EngineMissing(
            f"{path} is missing, and the embedded engine needs it: run Placet from a checkout of its "
            "repository, or set TEMPORAL_ADDRESS to a running server."
        )
    return path
