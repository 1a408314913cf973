"""The chart of deploy/helm: helm's lint, Kubernetes' schemas, and what its README says of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from embedded.settings import ROOT
from shared.messages.topics import RAW
from tests.contract.test_compose import COMPOSE

CHART = ROOT / "deploy" / "helm" / "crypto-ingest"
HELM = "v3.22.0"
KUBERNETES = ("1.29", "1.37")
# Of operators, whose schemas are not Kubernetes'.
OF_OTHERS = {"ScaledObject", "TriggerAuthentication", "PodMonitor"}
EVERYTHING = {
    "keda.enabled": "true",
    "podMonitor.enabled": "true",
    "ingress.enabled": "true",
    "ingress.host": "prices.example",
    "ingress.tlsSecret": "tls",
    "csv.existingClaim": "files",
    "csv.url": "s3://prices/exports",
    "csv.secret": "objects",
    "networkPolicies.metricsFrom[0].namespaceSelector.matchLabels.name": "monitoring",
}
PLAIN = {
    "kafka.securityProtocol": "PLAINTEXT",
    "kafka.caSecret": "",
    "networkPolicies.enabled": "false",
    "image.registry": "registry.example/team",
}
Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> str:
    """Pinned, built once."""
    cache = Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    )
    folder = cache / "crypto-ingest" / f"helm-{HELM}"
    if not (folder / "helm").exists():
        if not shutil.which("go"):
            pytest.skip("there is no Go to build helm with")
        subprocess.run(
            ["go", "install", f"helm.sh/helm/v3/cmd/helm@{HELM}"],
            env={**os.environ, "GOBIN": str(folder)},
            check=True,
        )
    return str(folder / "helm")


def rendered(
    helm: str, values: dict[str, str], *more: str
) -> list[Manifest]:
    sets = [f"--set={name}={value}" for name, value in values.items()]
    done = subprocess.run(
        [
            helm,
            "template",
            "prices",
            str(CHART),
            "--kube-version=1.31.0",
            *sets,
            *more,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(
    params=[{}, EVERYTHING, PLAIN], ids=["usual", "all", "plain"]
)
def manifests(
    helm: str, request: pytest.FixtureRequest
) -> list[Manifest]:
    return rendered(helm, request.param)


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The kind and the specification of each."""
    for each in manifests:
        if each["kind"] in ("Deployment", "Job"):
            name = each["metadata"]["labels"][
                "app.kubernetes.io/component"
            ]
            yield name, each["spec"]["template"]["spec"]


def test_helm_finds_nothing_wrong(helm: str) -> None:
    done = subprocess.run(
        [helm, "lint", "--strict", str(CHART)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_one_of_kubernetes(
    manifests: list[Manifest], version: str
) -> None:
    checked = set()
    for each in manifests:
        if each["kind"] in OF_OTHERS:
            continue
        kubernetes_validate.validate(each, version, strict=True)
        checked.add(each["kind"])
    assert {"Deployment", "Job", "Service", "ConfigMap"} <= checked


def test_it_runs_what_compose_runs(manifests: list[Manifest]) -> None:
    built = {
        name
        for name, service in COMPOSE["services"].items()
        if "build" in service
    }
    assert {name for name, _ in pods(manifests)} == built - {"proxy"}


def test_a_pod_may_do_nothing_that_it_need_not(
    manifests: list[Manifest],
) -> None:
    for _, pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        # A Service named kafka would set KAFKA_PORT.
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


def test_each_service_gets_the_secrets_that_compose_gives_it(
    manifests: list[Manifest],
) -> None:
    ours = {
        "API_KEY",
        "INSTALLATION_SECRET",
        "LOADER_PASSWORD",
        "READER_PASSWORD",
    }
    for name, pod in pods(manifests):
        (container,) = pod["containers"]
        given = {each["name"] for each in container["env"]}
        in_compose = set(COMPOSE["services"][name]["environment"])
        assert given & ours == in_compose & ours, name
        owner = [
            each
            for each in container["env"]
            if each["name"] == "DATABASE_URL" and "valueFrom" in each
        ]
        assert bool(owner) == (name == "migrate")


def test_every_variable_is_a_setting(manifests: list[Manifest]) -> None:
    from embedded.stack import _known_names

    known = _known_names() | {"MODE"}
    for _, pod in pods(manifests):
        (container,) = pod["containers"]
        assert {each["name"] for each in container["env"]} <= known
    (config,) = (
        each for each in manifests if each["kind"] == "ConfigMap"
    )
    assert set(config["data"]) <= known


def test_services_are_not_ready_without_progress(
    manifests: list[Manifest],
) -> None:
    for each in manifests:
        if each["kind"] != "Deployment":
            continue
        (container,) = each["spec"]["template"]["spec"]["containers"]
        probe = container["readinessProbe"]
        asked = (
            probe["httpGet"]["path"]
            if "httpGet" in probe
            else " ".join(probe["exec"]["command"])
        )
        assert asked in (
            "/api/v1/health/ready",
            "python -m shared.runtime.health /tmp/health.json",
        )


def test_scalers_stop_at_the_number_of_partitions(helm: str) -> None:
    found = {
        each["spec"]["triggers"][0]["metadata"]["topic"]: each["spec"]
        for each in rendered(helm, EVERYTHING)
        if each["kind"] == "ScaledObject"
    }
    assert set(found) == {"ingest.raw", "ingest.unified"}
    for spec in found.values():
        assert spec["maxReplicaCount"] == RAW.partitions
        (trigger,) = spec["triggers"]
        assert trigger["metadata"]["sasl"] == "scram_sha512"
        assert trigger["authenticationRef"]
    names = {
        each["metadata"]["name"]
        for each in rendered(helm, EVERYTHING)
        if each["kind"] == "Deployment" and "replicas" not in each["spec"]
    }
    assert names == {
        spec["scaleTargetRef"]["name"] for spec in found.values()
    }


def test_tables_come_along_before_the_services(helm: str) -> None:
    (job,) = (
        each for each in rendered(helm, {}) if each["kind"] == "Job"
    )
    hooks = job["metadata"]["annotations"]["helm.sh/hook"]
    assert set(hooks.split(",")) == {"pre-install", "pre-upgrade"}
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "envFrom" not in container  # the ConfigMap comes later


def test_a_gateway_is_reached_and_nobody_else(helm: str) -> None:
    policies = {
        each["metadata"]["name"]: each["spec"]
        for each in rendered(helm, EVERYTHING)
        if each["kind"] == "NetworkPolicy"
    }
    everybody = policies["prices-crypto-ingest"]
    assert [rule["ports"] for rule in everybody["ingress"]] == [
        [{"port": "metrics"}]
    ]
    gateway = policies["prices-crypto-ingest-gateway"]
    assert gateway["ingress"][0]["ports"] == [{"port": "http"}]
