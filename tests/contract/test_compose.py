"""The compose file and the Dockerfiles against the settings and the sources, without an engine."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from embedded.settings import ROOT, StackSettings
from services.extractor.settings import ExtractorSettings
from services.gateway.settings import GatewaySettings
from services.loader.settings import LoaderSettings
from services.normalizer.settings import NormalizerSettings
from shared.topics import MAX_MESSAGE_BYTES

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SETTINGS: dict[str, Any] = {
    "extractor": ExtractorSettings,
    "normalizer": NormalizerSettings,
    "loader": LoaderSettings,
    "gateway": GatewaySettings,
    "migrate": LoaderSettings,
}


@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_of_a_service_is_one_of_its_settings(service: str) -> None:
    unknown = {name for name in COMPOSE["services"][service]["environment"] if name.lower() not in SETTINGS[service].model_fields}
    assert not unknown


@pytest.mark.parametrize("service", SETTINGS)
def test_services_scale(service: str) -> None:
    assert "container_name" not in COMPOSE["services"][service]


@pytest.mark.parametrize("service", ["extractor", "normalizer", "loader", "gateway"])
def test_an_image_holds_shared_and_its_own_service_only(service: str) -> None:
    text = (ROOT / "services" / service / "Dockerfile").read_text()
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE))
    assert copied == {"pyproject.toml requirements.lock", "shared/", "services/__init__.py", f"services/{service}/"}
    assert f"--extra {service} " in text
    assert "USER app" in text
    assert "HEALTHCHECK" in text


def test_kafka_takes_the_messages_that_the_services_send() -> None:
    kafka = COMPOSE["services"]["kafka"]["environment"]
    assert kafka["KAFKA_MESSAGE_MAX_BYTES"] == MAX_MESSAGE_BYTES
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_example_of_settings_names_only_settings_and_the_defaults() -> None:
    lines = [line.partition("=") for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"^[A-Z_]+=", line)]
    fields = {name.upper(): field for settings in (StackSettings, *SETTINGS.values()) for name, field in settings.model_fields.items()}
    assert {name for name, _, _ in lines} <= fields.keys()
    assert {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "DATABASE_URL", "COINPAPRIKA_API_URL", "COIN_IDS", "API_KEY"} <= {
        name for name, _, _ in lines
    }
