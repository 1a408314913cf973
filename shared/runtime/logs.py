"""Structured logs: one JSON object a line on standard output (key=value when `LOG_FORMAT=text`)."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(service: str, *, level: str = "INFO", fmt: str = "json") -> None:
    """Set up structlog and route the standard library's logging (aiokafka, faust, uvicorn) through it."""
    renderer: Any = structlog.processors.JSONRenderer() if fmt == "json" else structlog.dev.ConsoleRenderer(colors=False)
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=common
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "faust", "mode", "kafka", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # A broker that is away is said once by the services themselves; aiokafka would say it several times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)


def get(name: str) -> Any:
    """A logger; call `.info("what_happened", run_id=…, stream=…)`."""
    return structlog.stdlib.get_logger(name)
