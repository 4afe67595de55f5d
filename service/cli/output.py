"""Output: the result of a command on stdout, as text or as one JSON document; everything else on stderr.

Text from outside (names of files, of people, of other sites) never controls the terminal: every line that is printed is
escaped here. A value that is put into text of several lines goes through `shown`, so that it cannot begin a line.
"""

import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from volens.consent import format_time
from volens.consent.plain_text import escaped

Item = TypeVar("Item")

# No highlighting, no markup, no wrapping: the text may come from files and people, and ids must stay whole.
STDOUT: Final = Console(highlight=False, markup=False, soft_wrap=True)
STDERR: Final = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)

_LAYOUT: Final = "\n\t"
_GAP: Final = "  "
_NARROWEST_TEXT: Final = 24


def emit(document: object, human: str, *, as_json: bool) -> None:
    """Print the result of a command, once."""
    if as_json:
        # ASCII: the terminal's encoding may lack a letter of a name, and a file name may not be text.
        STDOUT.out(json.dumps(document), highlight=False)
    else:
        STDOUT.print(escaped(human, keep=_LAYOUT))


def note(text: str) -> None:
    """Print text on stderr that a person is to read before the result, of several lines if need be."""
    STDERR.print(escaped(text, keep=_LAYOUT))


def shown(value: object) -> str:
    """Return a value from outside, such as the name of a file, on one line and without control characters."""
    return escaped(value)


def members(record: object, names: str) -> dict[str, Any]:
    """Return attributes of a record as JSON members, by their names; ``zone=purpose`` calls `purpose` zone.

    Times and paths become text, bytes hexadecimal digits, sets sorted lists.
    """
    pairs = (name.rpartition("=") for name in names.split())
    return {name or attribute: _as_json(getattr(record, attribute)) for name, _, attribute in pairs}


def _as_json(value: object) -> object:
    match value:
        case datetime():
            return format_time(value)
        case bytes():
            return value.hex()
        case Path():
            return str(value)
        case frozenset():
            return sorted(value)
        case Mapping():
            return dict(value)
        case _:
            return value


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    STDERR.print(f"warning: {escaped(sentence)}", style="yellow")


def info(sentence: str) -> None:
    """Print progress on stderr, if it is a terminal."""
    if STDERR.is_terminal:
        STDERR.print(escaped(sentence), style="dim")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return records as a table, or as one block for each record where the terminal is too narrow.

    No cell is wrapped or cut, so that ids can be copied. Output to a pipe is as wide as it needs to be.
    """
    records = [[shown(cell) for cell in row] for row in rows]
    lines = _aligned([columns, *records])
    if max(map(cell_len, lines)) <= _width():
        return "\n".join(lines)
    named = [[pair for pair in zip(columns, record, strict=True) if pair[1]] for record in records]
    return "\n\n".join(facts(record) for record in named)


def facts(rows: Sequence[Sequence[object]]) -> str:
    """Return aligned rows whose last column is text; it continues below itself, broken at blanks only."""
    cells = [[shown(cell) for cell in row] for row in rows]
    start = max((cell_len(line) for line in _aligned([[*row[:-1], ""] for row in cells], keep_end=True)), default=0)
    room = _width() - start
    lines: list[str] = []
    for line, row in zip(_aligned(cells), cells, strict=True):
        text = row[-1]
        if cell_len(line) <= _width() or room < _NARROWEST_TEXT:
            lines.append(line)
            continue
        first, *more = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        lines += [line[: len(line) - len(text)] + first, *(" " * start + part for part in more)]
    return "\n".join(lines)


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 consent``, ``2 consents``."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield items with a progress bar on a terminal, if there is more than one."""
    with progress(what) as advance:
        for done, item in enumerate(items):
            advance(done, len(items))
            yield item


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """Show a progress bar on a terminal; yield a function that takes the number of items done, and of all."""
    bar = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=STDERR,
        transient=True,
        disable=not STDERR.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def _aligned(rows: Sequence[Sequence[object]], *, keep_end: bool = False) -> list[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    lines = [
        _GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    return lines if keep_end else [line.rstrip() for line in lines]


def _width() -> int:
    """Return the columns of the terminal; a pipe has no limit, unless COLUMNS sets one."""
    return shutil.get_terminal_size().columns if STDOUT.is_terminal or "COLUMNS" in os.environ else 10**6
