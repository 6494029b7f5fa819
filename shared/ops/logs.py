"""Structured logs: one event per line, with the request and trace they belong to, and never a secret."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SECRET_WORDS = ("secret", "password", "authorization", "token", "signature", "cookie")
HIDDEN = "[hidden]"


def configure(*, level: str, as_json: bool) -> None:
    """Sets up structlog and the standard library's logging for the process; to be called once."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    # plain tracebacks: the fancy ones print local variables, and with them what must not be logged
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if as_json else plain
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if as_json else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    # aiokafka logs every retry of every broker; what matters is in /readyz and in our own `fault` lines
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def hide_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401
    """Replaces values whose name says that they are secret."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = HIDDEN
    return event
