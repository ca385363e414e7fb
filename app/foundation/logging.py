"""Logs: one JSON object a line on standard error, or readable lines at a terminal."""

import logging
import sys

import structlog


def configure(*, json: bool, level: str = "INFO") -> None:
    """Sets up structlog and routes the standard library's loggers through it."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # The engine tells its life story at INFO, and httpx every request: theirs, not our users'.
    # Slack's library tells at DEBUG what it sends and gets.
    for name in (
        "dbos",
        "httpx",
        "httpx2",
        "httpcore",
        "apscheduler",
        "sentence_transformers",
        "slack_bolt",
        "slack_sdk",
        "uvicorn.access",
    ):
        logging.getLogger(name).setLevel("WARNING")


def log(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module."""
    return structlog.stdlib.get_logger(name)
