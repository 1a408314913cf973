"""`/metrics` of a service, on a port of its own that needs no key: keep it inside the network."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any
from wsgiref.simple_server import (
    WSGIRequestHandler,
    WSGIServer,
    make_server,
)

from prometheus_client import REGISTRY, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared import __version__
from shared.errors import ConfigError
from shared.monitoring.metrics import PREFIX
from shared.runtime.health import Health
from shared.runtime.settings import CommonSettings

MAX_CONNECTIONS = 10
TIMEOUT_S = 5.0


class _Handler(WSGIRequestHandler):
    timeout = TIMEOUT_S
    server_version = "metrics"
    sys_version = ""

    def log_message(self, *_: Any) -> None:
        """Nothing of each scrape."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, of which there are few."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.address_family = (
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self._places = BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: Any, client_address: Any
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


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
    places: Sequence[Path | None] = (),
) -> None:
    """In a thread, where METRICS_PORT is set. Raises ConfigError for a port that is taken."""
    if not settings.metrics_port:
        return
    REGISTRY.register(
        HealthCollector(service, health, list(filter(None, places)))
    )
    try:
        server = make_server(
            settings.metrics_host,
            settings.metrics_port,
            make_wsgi_app(disable_compression=True),
            _Server,
            _Handler,
        )
    except OSError as error:
        at = f"{settings.metrics_host}:{settings.metrics_port}"
        raise ConfigError(
            f"METRICS_PORT: {at} cannot be listened on: {error.strerror}"
        ) from error
    Thread(target=server.serve_forever, daemon=True).start()
