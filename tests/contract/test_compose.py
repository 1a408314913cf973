"""The compose file and the Dockerfiles against the settings and the sources, without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded.settings import ROOT, StackSettings
from services.extractor.settings import ExtractorSettings
from services.gateway.settings import GatewaySettings
from services.loader.settings import LoaderSettings
from services.normalizer.settings import NormalizerSettings
from shared.messages.topics import MAX_MESSAGE_BYTES

COMPOSE: dict[str, Any] = yaml.safe_load(
    (ROOT / "docker-compose.yml").read_text()
)
SETTINGS: dict[str, Any] = {
    "extractor": ExtractorSettings,
    "normalizer": NormalizerSettings,
    "loader": LoaderSettings,
    "gateway": GatewaySettings,
    "migrate": LoaderSettings,
}


@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_of_a_service_is_one_of_its_settings(
    service: str,
) -> None:
    unknown = {
        name
        for name in COMPOSE["services"][service]["environment"]
        if name.lower() not in SETTINGS[service].model_fields
    }
    assert not unknown


@pytest.mark.parametrize("service", SETTINGS)
def test_services_scale(service: str) -> None:
    assert "container_name" not in COMPOSE["services"][service]


@pytest.mark.parametrize(
    "service", ["extractor", "normalizer", "loader", "gateway"]
)
def test_an_image_holds_shared_and_its_own_service_only(
    service: str,
) -> None:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    copied = set(
        re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    )
    page = {"console/"} if service == "gateway" else set()
    assert copied == page | {
        "pyproject.toml requirements.lock",
        "shared/",
        "services/__init__.py",
        f"services/{service}/",
    }
    assert f"--extra {service} " in text
    assert "USER app" in text
    assert "HEALTHCHECK" in text


@pytest.mark.parametrize(
    "service", ["extractor", "normalizer", "loader", "gateway"]
)
def test_a_service_installs_and_starts_alone(
    service: str, tmp_path: Path
) -> None:
    """What its Dockerfile does, without an engine: its own packages, `shared/` and itself.

    The import of each of its modules.
    """
    python = tmp_path / "venv" / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    install = [
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        str(python),
        "-r",
        "pyproject.toml",
        "--extra",
        service,
        "-c",
        "requirements.lock",
    ]
    for command in (
        [
            uv,
            "venv",
            "-q",
            "--python",
            sys.executable,
            str(python.parent.parent),
        ],
        install,
    ):
        subprocess.run(command, cwd=ROOT, check=True, timeout=240)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        ROOT / "shared", tmp_path / "app" / "shared", ignore=ignore
    )
    shutil.copytree(
        ROOT / "services" / service,
        tmp_path / "app" / "services" / service,
        ignore=ignore,
    )
    shutil.copy(
        ROOT / "services" / "__init__.py", tmp_path / "app" / "services"
    )
    modules = [
        ".".join(path.relative_to(tmp_path / "app").with_suffix("").parts)
        for path in (tmp_path / "app" / "services").rglob("*.py")
        if "migrations" not in path.parts
    ]
    done = subprocess.run(
        [
            str(python),
            "-I",
            "-c",
            (
                "import sys, importlib; sys.path.insert(0, '.'); [importlib.import_module(m)"
                f" for m in {modules!r}]"
            ),
        ],
        cwd=tmp_path / "app",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_services_start_in_the_order_of_what_they_need() -> None:
    services = COMPOSE["services"]
    assert services["migrate"]["depends_on"] == {
        "kafka": {"condition": "service_healthy"},
        "db": {"condition": "service_healthy"},
    }
    for service in ("extractor", "normalizer", "loader", "gateway"):
        assert services[service]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"}
        }


def test_every_container_has_a_limit_and_a_restart_policy() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["mem_limit"], name
        assert service["restart"] == (
            "on-failure" if name == "migrate" else "unless-stopped"
        ), name


def test_production_asks_for_what_development_may_leave_out() -> None:
    production = (ROOT / "docker-compose.production.yml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", production)) == {
        "POSTGRES_PASSWORD",
        "LOADER_PASSWORD",
        "READER_PASSWORD",
        "API_KEY",
    }
    assert not re.findall(
        r"\$\{(\w+)\}",
        (ROOT / "docker-compose.yml").read_text().replace("$${", "{"),
    ), "every variable has a default"


def test_what_the_proxy_says_without_gateways_is_as_long_as_it_says() -> (
    None
):
    head, _, body = (
        (ROOT / "proxy" / "unavailable.http")
        .read_bytes()
        .partition(b"\r\n\r\n")
    )
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["status"] == 503


def test_kafka_takes_the_messages_that_the_services_send() -> None:
    kafka = COMPOSE["services"]["kafka"]["environment"]
    assert kafka["KAFKA_MESSAGE_MAX_BYTES"] == MAX_MESSAGE_BYTES
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_example_of_settings_names_only_settings_and_the_defaults() -> (
    None
):
    lines = [
        line.partition("=")
        for line in (ROOT / ".env.example").read_text().splitlines()
        if re.match(r"^[A-Z_]+=", line)
    ]
    fields = {
        name.upper(): field
        for settings in (StackSettings, *SETTINGS.values())
        for name, field in settings.model_fields.items()
    }
    assert {name for name, _, _ in lines} <= fields.keys()
    assert {
        "POSTGRES_USER",
        "POSTGRES_PASSWORD",
        "POSTGRES_DB",
        "DATABASE_URL",
        "COINPAPRIKA_API_URL",
        "COIN_IDS",
        "API_KEY",
    } <= {name for name, _, _ in lines}
