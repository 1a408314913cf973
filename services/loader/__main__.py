"""`python -m services.loader` loads.

`python -m services.loader migrate` makes tables and topics, and ends; `downgrade 0.2.0` takes the
tables back to a release before, `can-downgrade 0.2.0` says why it would not.
"""

from __future__ import annotations

import asyncio
import sys

from services.loader import app
from services.loader.migrate import (
    check_downgrade,
    downgrade,
    migrate,
)
from services.loader.settings import LoaderSettings
from shared.monitoring import endpoint
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import (
    exit_on_known_errors,
    run_until_stopped,
)
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(LoaderSettings)
    logs.configure(
        "loader", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    with exit_on_known_errors():
        match sys.argv[1:]:
            case ["migrate"]:
                migrate(settings)
            case ["can-downgrade", release]:
                check_downgrade(settings, release)
            case ["downgrade", release]:
                downgrade(settings, release)
            case _:
                _load(settings)


def _load(settings: LoaderSettings) -> None:
    health = Health(settings.health_file)
    endpoint.serve(settings, "loader", health)
    asyncio.run(
        run_until_stopped(
            lambda stop: app.run(settings, health, stop), health
        )
    )


if __name__ == "__main__":
    main()
