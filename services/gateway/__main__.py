"""`python -m services.gateway`"""

from __future__ import annotations

import uvicorn

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(GatewaySettings)
    logs.configure(
        "gateway", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    app = create_app(settings, Health(settings.health_file))
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=6,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )


if __name__ == "__main__":
    main()
