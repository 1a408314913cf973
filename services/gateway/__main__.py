"""`python -m services.gateway`"""

from __future__ import annotations

import resource

import uvicorn

from services.gateway.app import create_app
from services.gateway.protocol import BoundedProtocol
from services.gateway.settings import GatewaySettings
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.settings import load_or_exit

OPEN_FILES = 4096


def raise_file_limit() -> None:
    """Each connection is an open file, and the usual limit is low."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        _limit_files(min(OPEN_FILES, most), most)


def _limit_files(wanted: int, most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    settings = load_or_exit(GatewaySettings)
    logs.configure(
        "gateway", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    raise_file_limit()
    app = create_app(settings, Health(settings.health_file))
    uvicorn.run(
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


if __name__ == "__main__":
    main()
