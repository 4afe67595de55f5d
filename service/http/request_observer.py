"""What is seen of every request from outside: how long, which operation, what came of it. For logs and numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final


@final
@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, after it was answered.

    Attributes:
        operation: the name of the route; ``none`` where there is none.
        status: of HTTP; 0 if nothing was answered.
        seconds: from the end of the headers to the end of the answer.
        credential_id: of who asks (`Principal.caller_id`; logs have always called it so); None if nothing in force was
            shown.
        zone: the caller's only one; None otherwise.
        faces: what was decided about faces, and about how many; None where nobody looked at any.
    """

    request_id: str
    operation: str
    status: int
    seconds: float
    credential_id: str | None
    zone: str | None
    faces: Mapping[str, int] | None = None

    def fields(self) -> dict[str, object]:
        """Return what a log may tell of it, by name. `dataclasses.asdict` takes ten times as long.

        What was decided about faces, by the second, is no business of a log.
        """
        found = ((name, getattr(self, name)) for name in self.__slots__ if name != "faces")
        return {name: value for name, value in found if value is not None}


class Observer(Protocol):
    """Is told of every request."""

    def __call__(self, seen: RequestRecord, /) -> None:
        """Take it in; quickly, for it happens on the event loop."""
