"""A read snapshot that counts the prepared queries that are run on it."""

from collections.abc import Mapping
from typing import Any

from volens.store.prepared_query import PreparedQuery, ReadSnapshot


class CountedQueries:
    """`ReadSnapshot` of another one; `count` is the number of queries since it was made, or was set to 0."""

    def __init__(self, snapshot: ReadSnapshot) -> None:
        self._snapshot = snapshot
        self.count = 0

    @property
    def attached(self) -> dict[str, Any]:
        return self._snapshot.attached

    def rows(self, query: PreparedQuery, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        self.count += 1
        return self._snapshot.rows(query, values)
