"""Alert rules and dashboards: services have each metric, and each rule does its work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml
from prometheus_client import REGISTRY

from embedded.settings import ROOT
from services.gateway.metrics import requests, stored
from shared.monitoring import metrics
from shared.monitoring.endpoint import HealthCollector
from shared.runtime.health import Health

FOLDER = ROOT / "observability"
PORT = 9464
_NAME = re.compile(r"\bcrypto_ingest_\w+")


def known() -> set[str]:
    """Every name that a scrape may hold."""
    assert requests.PREFIX == stored.PREFIX == metrics.PREFIX
    health = Health(None)
    health.set(ready=True, lag=1)
    found = [
        *REGISTRY.collect(),
        *HealthCollector("loader", health, [ROOT]).collect(),
    ]
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_count")}
    return {
        f"{metric.name}{ending}"
        for metric in found
        for ending in endings.get(metric.type, ("",))
    }


@pytest.mark.parametrize(
    "path",
    [FOLDER / "alerts.yml", *FOLDER.glob("grafana/dashboards/*.json")],
    ids=lambda path: path.name,
)
def test_every_metric_that_is_asked_for_is_there(path: object) -> None:
    asked = set(_NAME.findall(path.read_text()))  # type: ignore[attr-defined]
    assert len(asked) > 5
    assert asked <= known()


def test_each_rule_says_what_to_do_and_is_tested() -> None:
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    tested = (FOLDER / "alerts_test.yml").read_text()
    for rule in rules["groups"][0]["rules"]:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert f"alertname: {rule['alert']}\n" in tested


def test_the_rules_do_what_they_are_for() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(
            "promtool is not there: Debian has it in `prometheus`"
        )
    for command in (
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(
            [promtool, *command],
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_of_compose_is_scraped() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    scraped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    jobs = {
        job["job_name"]: job["dns_sd_configs"][0]
        for job in scraped["scrape_configs"]
    }
    assert set(jobs) == {
        "extractor",
        "normalizer",
        "loader",
        "gateway",
        "notifier",
    }
    for name, target in jobs.items():
        environment = compose["services"][name]["environment"]
        assert target["port"] == environment["METRICS_PORT"] == PORT
        assert target["names"] == [name]
        assert "inner" in compose["services"][name]["networks"]


def test_each_panel_of_a_dashboard_asks_something() -> None:
    for path in FOLDER.glob("grafana/dashboards/*.json"):
        panels = json.loads(path.read_text())["panels"]
        assert len(panels) > 10
        assert all(each["targets"][0]["expr"] for each in panels)
