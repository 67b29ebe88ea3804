"""The chart of deploy/helm/placet: linted and rendered by Helm, valid for Kubernetes, without secrets, without root."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from activities.action_runner import QUEUE_SUFFIX
from activities.notifications.settings import NotifySettings
from activities.secret_files import variables_of_files
from api.routes import health
from cli.main import COMMANDS
from cli.workers import Duty
from tests.helm import Job, Rendered, rendered
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "placet"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
TEMPORAL: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "helm" / "temporal-values.yaml").read_text())
LEAST, EVERYTHING = "least", "everything"
KUBERNETES = ("1.27", "1.37")  # the oldest that the chart names, and the newest that there is
OURS = 10001  # the user of deploy/Dockerfile
PROCESSES = {"api", "worker", "notifier"}
MOUNTED = "/etc/placet/secrets"


def chosen(name: str) -> dict[str, Any]:
    """Return the values of a file in `ci`."""
    return dict(yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text()))


# What has to be refused: a change of the least values, and what the refusal names.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no store for files": ({"attachments": {"url": ""}}, "attachments"),
    "two stores for files": ({"attachments": {"url": "s3://a", "existingClaim": "b"}}, "attachments"),
    "an unknown value": ({"apy": {}}, "apy"),
    "an unknown value below": ({"api": {"replica": 3}}, "replica"),
    "less than no pod": ({"worker": {"replicas": -1}}, "replicas"),
    "a secret among the settings": ({"settings": {"PLACET_SECRET_KEY": "0123456789abcdef"}}, "PLACET_SECRET_KEY"),
    "a number where the environment has text": ({"settings": {"PLACET_CONTENT_DAYS": 730}}, "PLACET_CONTENT_DAYS"),
    "an address without a port": ({"temporal": {"address": "temporal"}}, "address"),
    "a key that no Secret has": ({"secret": {"name": "placet", "databaseUrlKey": "../url"}}, "databaseUrlKey"),
    "an ingress without a host": ({"ingress": {"enabled": True}}, "host"),
}


@pytest.fixture(scope="module")
def everything_rendered() -> dict[str, Rendered]:
    """Render all value files and all that has to be refused, in one process."""
    jobs = {name: chosen(name) for name in (LEAST, EVERYTHING)}
    jobs |= {name: chosen(LEAST) | change for name, (change, _) in REFUSED.items()}
    jobs |= {"a share first": chosen(EVERYTHING) | {"versioning": {"makeCurrent": False}}}
    jobs |= {"without versions": chosen(EVERYTHING) | {"versioning": {"enabled": False}}}
    jobs |= {"in variables": chosen(EVERYTHING) | {"secret": chosen(EVERYTHING)["secret"] | {"mount": False}}}
    found = rendered([Job(chart=str(CHART), values=values) for values in jobs.values()])
    return dict(zip(jobs, found, strict=True))


@pytest.fixture(params=[LEAST, EVERYTHING])
def release(request: pytest.FixtureRequest, everything_rendered: dict[str, Rendered]) -> Rendered:
    return everything_rendered[request.param]


def of_kind(release: Rendered, kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in release.manifests if m["kind"] == kind}


def pods(release: Rendered) -> dict[str, dict[str, Any]]:
    """Return the pod templates of a release by their component."""
    return {
        m["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: m["spec"]["template"]
        for m in release.manifests
        if m["kind"] in {"Deployment", "Job"}
    }


def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["spec"]["containers"]
    return dict(only)


def test_helm_finds_nothing_and_renders_everything(release: Rendered) -> None:
    assert release.refused is None
    assert release.findings == []
    assert of_kind(release, "Deployment").keys() == {f"placet-{name}" for name in PROCESSES}
    assert "placet deployments list" in release.notes


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid_for_kubernetes(release: Rendered, version: str) -> None:
    # Its own schemas of the kinds that the chart has (kubernetes-validate 1.37, strict), without their descriptions.
    known = json.loads((ROOT / "tests" / "data" / f"kubernetes-{version}.json").read_text())
    manifests = [m for m in release.manifests if m["kind"] != "ScaledObject"]
    for manifest in manifests:
        schema = known["kinds"][f"{manifest['apiVersion']} {manifest['kind']}"]
        validator = jsonschema_rs.validator_for({**schema, "definitions": known["definitions"]})
        validator.validate(manifest)
        assert not validator.is_valid({**manifest, "spek": {}})


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_be_meant_are_refused_by_name(everything_rendered: dict[str, Rendered], name: str) -> None:
    _, named = REFUSED[name]
    refused = everything_rendered[name].refused
    assert refused is not None
    assert named in refused


def test_no_process_is_root_or_writes_outside_of_its_volumes(release: Rendered) -> None:
    assert pods(release).keys() == PROCESSES | {"migrate", "prepare"}
    for name, pod in pods(release).items():
        security, inner = pod["spec"]["securityContext"], container(pod)["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] == OURS
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert inner == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["spec"]["automountServiceAccountToken"] is False
        volumes = {v["name"] for v in pod["spec"]["volumes"]}
        mounts = {m["mountPath"]: m["name"] for m in container(pod)["volumeMounts"]}
        assert set(mounts.values()) == volumes
        environment = {e["name"]: e.get("value") for e in container(pod)["env"]}
        assert {environment["PLACET_HOME"], environment["TMPDIR"]} <= mounts.keys()
        assert container(pod)["resources"].keys() == {"requests", "limits"}
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text()
    assert re.search(rf"useradd .*--uid {OURS}\b", dockerfile)
    assert f"USER {OURS}" in dockerfile


def test_every_process_runs_a_command_and_settings_that_there_are(release: Rendered) -> None:
    documented = set(re.findall(r"`((?:PLACET|TEMPORAL|OTEL)_[A-Z_]+)`", (ROOT / "docs/operations.md").read_text()))
    fields = {f"PLACET_{name.upper()}" for name in (*Settings.model_fields, *NotifySettings.model_fields)}
    fields.add("PLACET_SECRET_ERP_TOKEN_FILE")  # the secret of an action, whose name is its process' own
    duties: list[str] = []
    for pod in pods(release).values():
        command, *options = container(pod)["args"]
        assert command in {c.name for c in COMMANDS}
        if command == "worker":
            duties += options[options.index("--only") + 1].split(",")
        names = {e["name"] for e in container(pod)["env"]}
        assert {n for n in names if n.startswith("PLACET_")} <= fields | documented
        assert {n for n in names if n.startswith("TEMPORAL_")} <= documented
    assert sorted(duties) == sorted(Duty)


def secrets_of(pod: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that name a file of the Secret, and those that hold a secret, each with its key."""
    files: dict[str, str] = {}
    held: dict[str, str] = {}
    for each in container(pod)["env"]:
        if each.get("value", "").startswith(f"{MOUNTED}/"):
            files[each["name"]] = each["value"].removeprefix(f"{MOUNTED}/")
        elif "valueFrom" in each:
            held[each["name"]] = each["valueFrom"]["secretKeyRef"]["key"]
    return files, held


def test_secrets_are_files_of_the_secret_and_in_no_environment(release: Rendered) -> None:
    for pod in pods(release).values():
        files, held = secrets_of(pod)
        assert {"PLACET_DATABASE_URL_FILE", "PLACET_SECRET_KEY_FILE"} <= files.keys()
        assert held.keys() <= {"OTEL_EXPORTER_OTLP_HEADERS"}  # no file is read for it
        for each in container(pod)["env"]:
            secret = re.search(r"PASSWORD|SECRET|TOKEN|DATABASE_URL|API_KEY|KEYS_FILE", each["name"]) is not None
            assert (each["name"] in files) is secret, each
        (volume,) = (v["secret"] for v in pod["spec"]["volumes"] if v["name"] == "secrets")
        assert {item["path"] for item in volume["items"]} == set(files.values())
        assert all(item["key"] == item["path"] for item in volume["items"])
        assert volume["defaultMode"] == 0o440
        (mounted,) = (m for m in container(pod)["volumeMounts"] if m["name"] == "secrets")
        assert mounted == {"name": "secrets", "mountPath": MOUNTED, "readOnly": True}
    assert of_kind(release, "Secret") == {}
    assert "://" not in json.dumps(of_kind(release, "ConfigMap"))


def test_secrets_can_be_variables_but_for_what_has_to_be_a_file(everything_rendered: dict[str, Rendered]) -> None:
    chart = everything_rendered["in variables"]
    assert chart.findings == []
    for pod in pods(chart).values():
        files, held = secrets_of(pod)
        assert files == {"PLACET_PAYLOAD_KEYS_FILE": "payload-keys"}
        assert held["PLACET_DATABASE_URL"] == "database-url"
        assert held["PLACET_SECRET_ERP_TOKEN"] == "erp-token"


def test_the_chart_mounts_what_is_read_from_files_and_nothing_else() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    listed = re.search(r'define "placet.readFromFiles" -}}\n(.*?)\n{{- end', helpers, re.DOTALL)
    assert listed is not None
    read = {*variables_of_files(Settings), *variables_of_files(NotifySettings)}
    table = (ROOT / "docs/operations.md").read_text().split("\n## Secrets in files\n")[1].split("\n## ")[0]
    read |= set(re.findall(r"`((?:TEMPORAL|AWS|AZURE)_[A-Z_]+_FILE)`", table))
    assert set(listed[1].split()) == {name.removesuffix("_FILE") for name in read}


def test_probes_ask_what_there_is(release: Rendered) -> None:
    paths = {f"/api/v1{route.path}" for route in health.router.routes}  # type: ignore[attr-defined]  # all are APIRoute
    api = container(pods(release)["api"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert api[probe]["httpGet"]["path"] in paths
    assert api["livenessProbe"]["httpGet"]["path"].endswith("/live")
    assert api["readinessProbe"]["httpGet"]["path"].endswith("/ready")
    for name, variable in (("worker", "PLACET_WORKER_METRICS"), ("notifier", "PLACET_NOTIFICATION_METRICS")):
        there = container(pods(release)[name])
        (port,) = (p["containerPort"] for p in there["ports"])
        assert {e["name"]: e.get("value") for e in there["env"]}[variable] == f"0.0.0.0:{port}"
        ready = there["args"][there["args"].index("--ready-file") + 1]
        assert there["readinessProbe"]["exec"]["command"] == ["test", "-e", ready]


def test_an_old_worker_is_stopped_once_a_new_one_is_current(everything_rendered: dict[str, Rendered]) -> None:
    for name, build in ((LEAST, "0.1.0"), (EVERYTHING, "0.2.0")):
        deployment = of_kind(everything_rendered[name], "Deployment")["placet-worker"]
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        worker = container(deployment["spec"]["template"])
        assert "--make-current" in worker["args"]
        environment = {e["name"]: e.get("value") for e in worker["env"]}
        assert (environment["PLACET_DEPLOYMENT"], environment["PLACET_BUILD_ID"]) == ("placet", build)
    shared = container(pods(everything_rendered["a share first"])["worker"])
    assert "--make-current" not in shared["args"]
    assert "PLACET_BUILD_ID" in {e["name"] for e in shared["env"]}
    plain = container(pods(everything_rendered["without versions"])["worker"])
    assert "--make-current" not in plain["args"]
    assert not {e["name"] for e in plain["env"]} & {"PLACET_DEPLOYMENT", "PLACET_BUILD_ID"}


def test_what_selects_pods_selects_those_of_its_component(release: Rendered) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(release).items() if name in PROCESSES}

    def selected(by: dict[str, str]) -> set[str]:
        return {name for name, its in labels.items() if by.items() <= its.items()}

    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, manifest in of_kind(release, kind).items():
            assert selected(manifest["spec"]["selector"]["matchLabels"]) == {name.removeprefix("placet-")}
    (service,) = of_kind(release, "Service").values()
    assert selected(service["spec"]["selector"]) == {"api"}
    (policy,) = of_kind(release, "NetworkPolicy").values()
    assert selected(policy["spec"]["podSelector"]["matchLabels"]) == PROCESSES


def test_hooks_need_nothing_that_comes_with_the_release(release: Rendered) -> None:
    jobs = of_kind(release, "Job")
    assert [j["metadata"]["annotations"]["helm.sh/hook-weight"] for j in jobs.values()] == ["0", "1"]
    for job in jobs.values():
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        pod = job["spec"]["template"]["spec"]
        assert "serviceAccountName" not in pod
        assert "envFrom" not in container(job["spec"]["template"])


def test_workers_are_scaled_by_the_backlog_of_their_queues_and_version(
    everything_rendered: dict[str, Rendered],
) -> None:
    assert of_kind(everything_rendered[LEAST], "ScaledObject") == {}
    (scaled,) = of_kind(everything_rendered[EVERYTHING], "ScaledObject").values()
    triggers = scaled["spec"]["triggers"]
    assert {(one["type"], one["authenticationRef"]["name"]) for one in triggers} == {("temporal", "placet-temporal")}
    # By the reference of KEDA's scaler, where every value is text. An action is an activity on a queue of its own.
    assert [one["metadata"] for one in triggers] == [
        {
            "endpoint": "temporal-frontend.temporal.svc:7233",
            "namespace": "approvals",
            "taskQueue": queue,
            "queueTypes": kind,
            "targetQueueSize": "10",
            "workerDeploymentName": "placet",
            "workerDeploymentBuildId": "0.2.0",
        }
        for queue, kind in (("approvals", "workflow"), (f"approvals{QUEUE_SUFFIX}", "activity"))
    ]
    without = of_kind(everything_rendered["without versions"], "ScaledObject")["placet-worker"]
    assert all("workerDeploymentName" not in one["metadata"] for one in without["spec"]["triggers"])
    deployment = of_kind(everything_rendered[EVERYTHING], "Deployment")["placet-worker"]
    assert "replicas" not in deployment["spec"]  # two would set it
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_the_schema_names_every_value_and_no_other() -> None:
    def names(values: dict[str, Any], schema: dict[str, Any], at: str = "") -> None:
        free = "additionalProperties" in schema and schema["additionalProperties"] is not False
        if free or "properties" not in schema:
            return
        assert values.keys() == schema["properties"].keys() - ({"global"} if not at else set()), at or "/"
        for name, value in values.items():
            if isinstance(value, dict):
                names(value, schema["properties"][name], f"{at}/{name}")

    jsonschema_rs.meta.validate(SCHEMA)
    names(VALUES, SCHEMA)


def test_temporal_runs_with_the_settings_that_placet_is_tested_with() -> None:
    server = TEMPORAL["server"]
    assert server["dynamicConfig"] == yaml.safe_load((ROOT / "deploy/temporal/dynamicconfig.yaml").read_text())
    pins = (ROOT / "engine" / "go.mod").read_text()
    for image, module in (
        (server["image"], "go.temporal.io/server"),
        (TEMPORAL["admintools"]["image"], "go.temporal.io/server"),
        (TEMPORAL["web"]["image"], "github.com/temporalio/ui-server/v2"),
    ):
        assert re.search(rf"\s{re.escape(module)} v{re.escape(image['tag'])}\b", pins), image


def test_the_image_is_built_without_faults_that_hadolint_knows() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", "--format", "json", ROOT / "deploy" / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout) == []
