"""`/metrics` of a service, on a port of its own that needs no key: keep it inside the network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared import __version__
from shared.errors import ConfigError
from shared.monitoring.metrics import PREFIX
from shared.runtime.health import Health
from shared.runtime.settings import CommonSettings


class HealthCollector(Collector):
    """What the service has said of itself last, and the disks that it writes to."""

    def __init__(
        self, service: str, health: Health, places: Sequence[Path]
    ) -> None:
        self._service = service
        self._health = health
        self._places = places

    def collect(self) -> Iterator[Metric]:
        yield self._info()
        yield self._ready()
        if self._health.state.get("lag") is not None:
            yield self._waiting()
        yield self._disks()

    def _info(self) -> Metric:
        info = GaugeMetricFamily(
            f"{PREFIX}_service_info",
            "The service and its version",
            labels=["service", "version"],
        )
        info.add_metric([self._service, __version__], 1)
        return info

    def _ready(self) -> Metric:
        return GaugeMetricFamily(
            f"{PREFIX}_ready",
            "1 when the service makes progress",
            value=float(bool(self._health.state["ready"])),
        )

    def _waiting(self) -> Metric:
        return GaugeMetricFamily(
            f"{PREFIX}_waiting_messages",
            "Messages that wait for this service and others of its kind",
            value=self._health.state["lag"],
        )

    def _disks(self) -> Metric:
        free = GaugeMetricFamily(
            f"{PREFIX}_disk_free_bytes",
            "Free where the service writes",
            labels=["place"],
        )
        for place in self._places:
            if place.exists():
                disk = shutil.disk_usage(place)
                free.add_metric([str(place)], disk.free)
        return free


def serve(
    settings: CommonSettings,
    service: str,
    health: Health,
    places: Sequence[Path] = (),
) -> None:
    """In a thread, where METRICS_PORT is set. Raises ConfigError for a port that is taken."""
    if not settings.metrics_port:
        return
    REGISTRY.register(HealthCollector(service, health, places))
    try:
        start_http_server(settings.metrics_port, settings.metrics_host)
    except OSError as error:
        at = f"{settings.metrics_host}:{settings.metrics_port}"
        raise ConfigError(
            f"METRICS_PORT: {at} cannot be listened on: {error.strerror}"
        ) from error
