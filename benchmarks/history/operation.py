"""Operations of a recorded history, and their file: JSON Lines, one operation a line, after a header.

All times are nanoseconds of one clock, the monotonic clock of the machine on which all processes ran. Default values
are left out, so a look is about 110 bytes. People are numbers: nothing in a history is personal data.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final, final

FORMAT: Final = "volens-history/1"


@final
class What(StrEnum):
    """The kind of an operation."""

    ENROLL = "enroll"
    """A person was enrolled; `person` and `face`."""

    LOOK = "look"
    """A door was shown a face; `face`, `matched`, and `leased` if it decided without the primary."""

    WITHDRAW = "withdraw"
    """A person withdrew; it ends with the response that they are stopped at the primary."""

    EVERYWHERE = "everywhere"
    """It was asked whether a person is stopped everywhere; it ends with the response that they are."""

    WEBHOOK = "webhook"
    """A recipient was told of the erasure of a person."""

    CHECKPOINT = "checkpoint"
    """An auditor read a checkpoint; `size`, `root`, and `proof`: that it is consistent with the auditor's last one."""

    FAULT = "fault"
    """Something was broken, until `ended`; None: until the end of the history."""


DONE: Final = "done"
"""The outcome of an operation that was answered and did what was asked."""

FORGED: Final = "forged"
"""The outcome of a checkpoint whose signature is not by the site's key."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        who: the process that asked, or what a fault was done to.
        began: before the request was sent.
        ended: after the response was read; None if there was none.
        outcome: `DONE`, `FORGED`, an HTTP status, or the kind of a fault.
        person: number of a consent; a person who comes back has another one.
        face: number of the face that was enrolled or shown.
        matched: numbers of the consents that matched.
        leased: the door decided by a lease; else by the primary.
        size: number of leaves of the log.
        root: root of the log, hexadecimal.
        proof: hashes, hexadecimal.
    """

    what: What
    who: str
    began: int
    ended: int | None = None
    outcome: str = DONE
    person: int | None = None
    face: int | None = None
    matched: tuple[int, ...] = ()
    leased: bool = False
    size: int | None = None
    root: str = ""
    proof: tuple[str, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether it was answered, and did what was asked."""
        return self.ended is not None and self.outcome == DONE


_DEFAULTS: Final = {one.name: one.default for one in fields(Operation) if one.default is not MISSING}


def history_lines(header: dict[str, Any], operations: Iterable[Operation]) -> Iterator[str]:
    """Yield the lines of a history; the header says how it was made, such as the seed."""
    yield json.dumps({"format": FORMAT, **header}, sort_keys=True) + "\n"
    for one in operations:
        values = {name: value for name, value in asdict(one).items() if name == "ended" or value != _default(name)}
        yield json.dumps(values) + "\n"


def read_history(lines: Iterable[str]) -> tuple[dict[str, Any], list[Operation]]:
    """Return the header and the operations.

    Raises:
        ValueError: a line is not of this format; the message has its number.
    """
    header: dict[str, Any] = {}
    operations: list[Operation] = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if number == 1:
                header = values
            else:
                operations.append(_operation(values))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"line {number} is not an operation of a history ({error}); record it again") from error
    if header.get("format") != FORMAT:
        raise ValueError(f"got a file without the header of {FORMAT}; name a file of 'python -m benchmarks.history'")
    return header, operations


def _operation(values: dict[str, Any]) -> Operation:
    typed: dict[str, Any] = {name: tuple(values[name]) for name in ("matched", "proof") if name in values}
    typed["what"] = What(values["what"])
    return Operation(**{**values, **typed})


def _default(name: str) -> object:
    return _DEFAULTS.get(name, MISSING)
