"""`python -m services.gateway`"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from services.gateway.app import create_app
from services.gateway.protocol import BoundedProtocol
from services.gateway.settings import GatewaySettings
from shared.monitoring import endpoint
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import exit_on_known_errors
from shared.runtime.settings import load_or_exit

OPEN_FILES = 4096


def raise_file_limit() -> None:
    """Each connection is an open file, and the usual limit is low."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        _limit_files(min(OPEN_FILES, most), most)


def _limit_files(wanted: int, most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _shared_port(config: uvicorn.Config) -> socket.socket:
    """The address, which other gateways of this user may have too."""
    is_v6 = ":" in config.host
    listener = socket.socket(
        socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM
    )
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((config.host, config.port))
    return listener


def main() -> None:
    settings = load_or_exit(GatewaySettings)
    logs.configure(
        "gateway", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    raise_file_limit()
    health = Health(settings.health_file)
    with exit_on_known_errors():
        endpoint.serve(
            settings, "gateway", health, [settings.csv_folder()]
        )
    app = create_app(settings, health)
    config = uvicorn.Config(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=6,
        server_header=False,
        http=BoundedProtocol,
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
    )
    shared = [_shared_port(config)] if settings.gateways > 1 else None
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=shared)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
