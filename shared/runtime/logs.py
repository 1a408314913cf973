"""Structured logs: one JSON object a line on standard output (`LOG_FORMAT=text`: key=value)."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

NOISY = (
    "httpx",
    "httpcore",
    "faust",
    "mode",
    "kafka",
    "alembic",
    "uvicorn.access",
)


def configure(
    service: str, *, level: str = "INFO", fmt: str = "json"
) -> None:
    """Set up structlog, and route the standard library's logging through it.

    That is what aiokafka, Faust and uvicorn use.
    """
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
    )
    root = logging.getLogger()
    root.handlers[:] = [_handler(common, fmt)]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A broker that is unavailable is logged once by the services themselves; aiokafka would do so
    # several times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(service=service)


def _handler(common: list[Any], fmt: str) -> logging.Handler:
    renderer: Any = structlog.processors.JSONRenderer()
    if fmt != "json":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
            foreign_pre_chain=common,
        )
    )
    return handler


def get(name: str) -> Any:
    """A logger; call `.info("what_happened", run_id=…, stream=…)`."""
    return structlog.stdlib.get_logger(name)
