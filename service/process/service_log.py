"""The log of `volens serve`: one line for each request and each error, without personal data.

A line has the name of the operation, never the path; of an error, its type and the place in our code. Requests,
responses and messages of exceptions are not logged, because they could contain a name, a code or a token.
"""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Protocol, TextIO, final

import structlog

_FOREIGN_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")


class Log(Protocol):
    """A structured log."""

    def info(self, event: str, **fields: object) -> Any:  # noqa: ANN401  structlog's
        """Write a line."""

    def error(self, event: str, **fields: object) -> Any:  # noqa: ANN401  as above
        """Write a line about an error."""


def log_to(stream: TextIO, **bound: object) -> Log:
    """Return a log: JSON, one object in a line; on a terminal, columns. `bound` is in every line.

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
    bound_log: Log = log.bind(**bound)
    return bound_log


def where(trace: TracebackType | None) -> str:
    """Return the innermost frame of our own code in a traceback, as ``module:line``; ``elsewhere`` if there is none."""
    found = "elsewhere"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] == "volens":
            found = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def fields_of(error: BaseException) -> Mapping[str, str]:
    """Return the fields that are logged of an exception: its type and where it was raised, not its message."""
    return {"error": type(error).__name__, "where": where(error.__traceback__)}


@final
class ForeignRecords(logging.Handler):
    """Logs the records of libraries, without their arguments and tracebacks, which could contain anything."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record: its logger, and the type of the exception, if there is one."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.error("library", logger=record.name, **({} if error is None else fields_of(error)))

    def install(self) -> None:
        """Handle the records of the libraries that serve HTTP."""
        for name in _FOREIGN_LOGGERS:
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False
            logger.setLevel(logging.WARNING)
