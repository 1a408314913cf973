"""`python -m services.normalizer`"""

from __future__ import annotations

import asyncio

import faust

from services.normalizer.app import build_app
from services.normalizer.settings import NormalizerSettings
from shared.kafka import topic_admin
from shared.monitoring import endpoint
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import exit_on_known_errors, tune_gc
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(NormalizerSettings)
    logs.configure(
        "normalizer", level=settings.log_level, fmt=settings.log_format
    )
    logs.get(__name__).info("starting", settings=settings.masked())
    health = Health(settings.health_file)
    health.set(ready=False, reason="waiting for Kafka")
    with exit_on_known_errors():
        endpoint.serve(settings, "normalizer", health)
        bootstrap = settings.kafka_bootstrap_servers
        asyncio.run(
            topic_admin.wait_for_topics(bootstrap, asyncio.Event())
        )
    tune_gc()
    app = build_app(settings, health)
    worker = faust.Worker(
        app, override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.spinner = None  # it writes terminal codes into the log
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
