"""What a person or a program reads: text or one JSON document on stdout, all else on stderr."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Item = TypeVar("Item")

# No highlighting, no markup: what is printed may come from files and people.
STDOUT: Final = Console(highlight=False, markup=False, soft_wrap=True)
STDERR: Final = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def emit(document: object, human: RenderableType, *, as_json: bool) -> None:
    """Print the result of a command, once."""
    if as_json:
        # ASCII, for a terminal's encoding may lack a letter of a name, and file names may hold what is no text.
        STDOUT.out(json.dumps(document), highlight=False)
    else:
        STDOUT.print(human)


def warn(sentence: str) -> None:
    """Tell something that is not the result."""
    STDERR.print(f"warning: {sentence}", style="yellow")


def tell(sentence: str) -> None:
    """Tell how long work goes on; only to a person."""
    if STDERR.is_terminal:
        STDERR.print(sentence, style="dim")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a plain table."""
    grid = Table(box=None, pad_edge=False, show_header=bool(any(columns)))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    return grid


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield items with a progress bar on a terminal, if there is more than one."""
    with progress(what) as advance:
        for done, item in enumerate(items):
            advance(done, len(items))
            yield item


@contextmanager
def progress(what: str) -> Iterator[Any]:
    """Show a progress bar on a terminal; yields a function of how much is done, of how much."""
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
