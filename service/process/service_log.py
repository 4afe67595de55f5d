"""What `volens serve` writes down: one line for each request and each thing that went wrong, and no personal data.

Operations go by their name, never by the path that was asked for; errors by their type and the place in our code. What
was sent, what was answered and what an exception says is not written: it could be a name, a code or a token.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, TextIO, final

import structlog

_OURS: Final = Path(__file__).parents[1]
_FOREIGN_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")


class Log(Protocol):
    """Where lines go."""

    def info(self, event: str, **fields: object) -> Any:  # noqa: ANN401  structlog's
        """Write a line."""

    def error(self, event: str, **fields: object) -> Any:  # noqa: ANN401  as above
        """Write a line about what went wrong."""


def log_to(stream: TextIO, **bound: object) -> Log:
    """Return a log: JSON, one object in a line; on a terminal, columns. `bound` stands in every line.

    A line is one write, so that several processes can share a stream.
    """
    rendered = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if stream.isatty()
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    log = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            rendered,
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )
    named: Log = log.bind(**bound)
    return named


def where(trace: TracebackType | None) -> str:
    """Return the innermost place in our own code that a traceback leads through, as ``module:line``."""
    found = "elsewhere"
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_OURS) and "site-packages" not in path.parts:
            found = f"{'.'.join(path.relative_to(_OURS).with_suffix('').parts)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def fields_of(error: BaseException) -> Mapping[str, str]:
    """Return what may be written about an exception: its type and where it was raised, not what it says."""
    return {"error": type(error).__name__, "where": where(error.__traceback__)}


@final
class ForeignRecords(logging.Handler):
    """Takes what libraries log, without its arguments and tracebacks, which could hold anything."""

    def __init__(self, log: Log) -> None:
        """Write to a log."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record: who said it, and the type of the exception, if there was one."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.error("library", logger=record.name, **({} if error is None else fields_of(error)))

    def install(self) -> None:
        """Take the records of the libraries that serve HTTP."""
        for name in _FOREIGN_LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False
            logger.setLevel(logging.WARNING)
