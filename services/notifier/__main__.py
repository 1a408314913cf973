"""`python -m services.notifier`"""

from __future__ import annotations

import asyncio

from services.notifier import app
from services.notifier.settings import NotifierSettings
from shared.monitoring import endpoint
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    exit_on_known_errors,
    run_until_stopped,
)
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(NotifierSettings)
    logs.configure(
        "notifier", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    health = Health(settings.health_file)
    with exit_on_known_errors():
        endpoint.serve(settings, "notifier", health)
        asyncio.run(
            run_until_stopped(
                lambda stop: app.run(settings, health, stop), health
            )
        )


if __name__ == "__main__":
    main()
