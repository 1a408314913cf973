"""`python -m services.normalizer`"""

from __future__ import annotations

import asyncio

import faust

from services.normalizer.app import build_app
from services.normalizer.settings import NormalizerSettings
from shared.kafka import topic_admin
from shared.runtime import logs
from shared.runtime.health import Health
from shared.runtime.lifecycle import collect_garbage_rarely, errors_said_plainly
from shared.runtime.settings import load_or_exit


def main() -> None:
    settings = load_or_exit(NormalizerSettings)
    logs.configure("normalizer", level=settings.log_level, fmt=settings.log_format)
    logs.get(__name__).info("starting", settings=settings.masked())
    health = Health(settings.health_file)
    health.set(ready=False, reason="waiting for Kafka")
    with errors_said_plainly():
        asyncio.run(topic_admin.wait_for_topics(settings.kafka_bootstrap_servers, asyncio.Event()))
    collect_garbage_rarely()
    app = build_app(settings, health)
    faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
