"""docker-compose.temporal.yml: true to the Compose Specification, whole, without secrets, like the tests' engine."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.main import COMMANDS
from cli.workers import Duty
from engine_host.config import shared_settings
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.temporal.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# ${NAME:?what to do} has to be set; ${NAME:-otherwise} may be.
VARIABLES = dict(re.findall(r"\$\{([A-Z_]+)(:[?-])", TEXT))


def commands() -> set[str]:
    return {command.name for command in COMMANDS}


def test_it_is_a_compose_file() -> None:
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(COMPOSE)
    assert not validator.is_valid({**COMPOSE, "services": {"api": {"imagee": "x"}}})


def test_every_mounted_or_built_file_is_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], (name, source)
        if "env_file" in service:
            assert (ROOT / service["env_file"]).is_file()
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_every_variable_is_documented_and_has_no_value() -> None:
    lines = (ROOT / "deploy" / "compose.env.example").read_text().splitlines()
    required = {line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z_]+=", line)}
    optional = {line[1:].split("=")[0] for line in lines if re.match(r"#[A-Z_]+=", line)}
    assert required == {name for name, kind in VARIABLES.items() if kind == ":?"}
    assert optional == {name for name, kind in VARIABLES.items() if kind == ":-"}


def test_no_secret_is_written_in_it() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|PWD|SECRET|KEY|TOKEN", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), (name, key)
    assert not re.search(r"://[^$@\s]+:[^$@\s]+@", TEXT)


def test_what_waits_for_another_waits_for_something_that_comes() -> None:
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            needed = SERVICES[other]
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in needed, (name, other)
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert needed["restart"] == "no", (name, other)


def test_nothing_is_published_beyond_this_machine() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_the_server_runs_as_the_one_of_the_tests() -> None:
    server = SERVICES["temporal"]
    assert "./deploy/temporal/dynamicconfig.yaml:/etc/placet/dynamicconfig.yaml:ro" in server["volumes"]
    assert server["environment"]["DYNAMIC_CONFIG_FILE_PATH"] == "/etc/placet/dynamicconfig.yaml"
    assert server["env_file"] == "deploy/temporal/server.env"
    assert not shared_settings().keys() & server["environment"].keys()
    pins = (ROOT / "engine" / "go.mod").read_text()
    for image, module in (
        (server["image"], "go.temporal.io/server"),
        (SERVICES["temporal-schema"]["image"], "go.temporal.io/server"),
        (SERVICES["temporal-ui"]["image"], "github.com/temporalio/ui-server/v2"),
    ):
        assert re.search(rf"\s{re.escape(module)} v{re.escape(image.split(':')[1])}\b", pins), image


@pytest.mark.parametrize("name", ["migrate", "prepare", "worker", "notifier", "api"])
def test_our_services_run_commands_that_there_are_with_settings_that_there_are(name: str) -> None:
    service = SERVICES[name]
    assert service["command"][0] in commands()
    known = {f"PLACET_{field.upper()}" for field in Settings.model_fields}
    assert {key for key in service["environment"] if key.startswith("PLACET_")} <= known


def test_prometheus_scrapes_the_services_where_they_listen() -> None:
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = [target for job in jobs for config in job.get("static_configs", []) for target in config["targets"]]
    targets += [f"{n}:{c['port']}" for job in jobs for c in job.get("dns_sd_configs", []) for n in c["names"]]
    assert set(targets) == {"api:8420", "api:9466", "worker:9464", "notifier:9465", "temporal:9090"}
    assert SERVICES["worker"]["environment"]["PLACET_WORKER_METRICS"] == "0.0.0.0:9464"
    assert SERVICES["notifier"]["environment"]["PLACET_NOTIFICATION_METRICS"] == "0.0.0.0:9465"
    assert SERVICES["api"]["environment"]["PLACET_API_METRICS"] == "0.0.0.0:9466"


def test_every_duty_of_a_worker_has_a_service() -> None:
    named = [service["command"] for service in SERVICES.values() if service.get("command", [""])[0] == "worker"]
    duties = [duty for command in named for duty in command[command.index("--only") + 1].split(",")]
    assert sorted(duties) == sorted(Duty)
    assert SERVICES["temporal"]["environment"]["PROMETHEUS_ENDPOINT"] == "0.0.0.0:9090"


def locked(file: str) -> dict[str, str]:
    """Return what a lock file says of each package."""
    found = re.finditer(r"^([\w.-]+)==.*?(?=^\S|\Z)", (ROOT / file).read_text(), re.MULTILINE | re.DOTALL)
    return {canonicalize_name(each[1]): each[0].strip() for each in found}


def needed(project: dict[str, Any], *extras: str) -> set[str]:
    """Return the packages that Placet runs with here, with what they need themselves."""
    more = project["optional-dependencies"]
    waiting = [
        Requirement(one) for one in (*project["dependencies"], *(one for extra in extras for one in more[extra]))
    ]
    found: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        key = canonicalize_name(one.name), frozenset(one.extras)
        if key in found:
            continue
        found.add(key)
        for text in distribution(one.name).requires or ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                waiting.append(inner)
    return {name for name, _ in found}


def test_the_image_has_what_placet_runs_with_and_nothing_that_only_tests_or_builds_it() -> None:
    image, whole = locked("deploy/image.lock"), locked("requirements.lock")
    assert {name for name, said in image.items() if whole.get(name) != said} == set()
    assert {name for name, said in locked("deploy/build.lock").items() if whole.get(name) != said} == set()
    runs = needed(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"], "mcp", "drafting")
    assert runs - image.keys() == set()
    # On other machines it needs more; each of those says so.
    assert {name for name in image.keys() - runs if " ; " not in image[name].splitlines()[0]} == set()
    assert "pytest" in whole.keys() - image.keys()
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.findall(r"--requirement (\S+)", dockerfile) == ["deploy/build.lock", "deploy/image.lock"]


def test_the_image_holds_every_package_by_hash_and_runs_as_nobody_special() -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}\n" in dockerfile
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for file in source.split():
            assert (ROOT / file).exists(), file
            assert f"!{file}\n" in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text()
    installs = re.findall(r"/opt/build/bin/pip [^&]*install[^&]*", dockerfile.replace("\\\n", ""))
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps --no-index" in one for one in installs)
    assert "ARG PYTHON=python:3.11-slim\n" in dockerfile
    assert dockerfile.count("\nFROM ${PYTHON}") == 2
    assert re.search(r"^USER (?!0\b|root\b)\S+$", dockerfile.split("FROM ")[-1], re.MULTILINE)
