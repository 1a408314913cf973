"""`python -m services.normalizer`"""

from __future__ import annotations

import asyncio

import faust

from services.normalizer.settings import NormalizerSettings
from services.normalizer.worker import build_app
from shared import kafka, logs
from shared.health import Health
from shared.lifecycle import collect_garbage_rarely, errors_said_plainly
from shared.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(NormalizerSettings)
    logs.configure("normalizer", level=settings.log_level, fmt=settings.log_format)
    logs.get(__name__).info("starting", settings=settings.masked())
    health = Health(settings.health_file)
    health.set(ready=False, reason="waiting for Kafka")
    with errors_said_plainly():
        asyncio.run(kafka.wait_for_topics(settings.kafka_bootstrap_servers, asyncio.Event()))
    collect_garbage_rarely()
    app = build_app(settings, health)
    faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
