"""Column types shared by both files' schemas."""

from datetime import datetime
from typing import final

from sqlalchemy import Dialect
from sqlalchemy.types import String, TypeDecorator

from volens.consent import format_time, parse_time


@final
class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC, whole seconds, kept as ``2026-11-23T16:00:00Z``: text order is time order, readable to an auditor."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write a time."""
        del dialect
        return None if value is None else format_time(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read a time."""
        del dialect
        return None if value is None else parse_time(value)
