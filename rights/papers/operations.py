"""What the HTTP interface offers to whom: derived from its description by the room above, never copied.

`volens.service.http.operation_list` makes the list from the same routes and roles that the service uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        name: its id in the description (OpenAPI `operationId`).
        summary: what it does, in English.
        roles: which may call it; empty if it needs no credential.
        shows_visits: its response has visits of people.
        asks_for_proof: its request must carry the code or the receipt of one consent.
        gives_file: its response is a file.
    """

    name: str
    summary: str
    roles: frozenset[str]
    shows_visits: bool
    asks_for_proof: bool
    gives_file: bool


def lists_visits(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations that show visits without the code or receipt of the person: comings and goings."""
    return [one for one in operations if one.shows_visits and not one.asks_for_proof]
