"""`python -m services.extractor`"""

from __future__ import annotations

import asyncio

from services.extractor import app
from services.extractor.settings import ExtractorSettings
from shared.monitoring import endpoint
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    exit_on_known_errors,
    run_until_stopped,
)
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(ExtractorSettings)
    logs.configure(
        "extractor", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    health = Health(settings.health_file)
    with exit_on_known_errors():
        endpoint.serve(
            settings, "extractor", health, [settings.csv_folder()]
        )
        asyncio.run(
            run_until_stopped(
                lambda stop: app.run(settings, health, stop), health
            )
        )


if __name__ == "__main__":
    main()
