"""A badge number or a PIN from a terminal, stdin or a file; never from a command's arguments, which others can see."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from volens.consent import InputError, SecondFactor, ShownFactor
from volens.service.cli.named_files import read_file

BadgeNumberFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="Holds the number of the badge that was shown, in a zone that asks for one; - asks, or reads stdin.",
        show_default=False,
    ),
]
PinFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Holds the PIN that was typed, in a zone that asks for one; - asks, or reads stdin."),
]

_STDIN: Final = Path("-")
_LINE: Final = 200
_SAID: Final = {SecondFactor.BADGE: "Number of the badge", SecondFactor.PIN: "PIN"}


@contextmanager
def factor_shown(badge_number_file: Path | None, pin_file: Path | None) -> Iterator[ShownFactor | None]:
    """Read whichever was named, and wipe it afterwards. None where neither was.

    Raises:
        InputError: both were named, or what is read is none.
    """
    if badge_number_file is not None and pin_file is not None:
        raise InputError("got both --badge-number-file and --pin-file; give the one that the zone asks for")
    if badge_number_file is None and pin_file is None:
        yield None
        return
    kind = SecondFactor.PIN if badge_number_file is None else SecondFactor.BADGE
    with read_factor(kind, badge_number_file or pin_file) as factor:
        yield factor


def read_factor(kind: SecondFactor, file: Path | None, *, again: bool = False) -> ShownFactor:
    """Read a badge number or a PIN; the caller wipes it.

    Args:
        kind: which of the two.
        file: holds it; None or ``-`` asks at a terminal, and reads a line of stdin where there is none.
        again: asks twice at a terminal.

    Raises:
        InputError: there is no such file, or what is read is none.
    """
    if file is not None and file != _STDIN:
        text = read_file(file, "file").decode("utf-8", errors="replace")
    elif sys.stdin.isatty():
        text = typer.prompt(_SAID[kind], hide_input=True, confirmation_prompt=again, err=True)
    else:
        text = sys.stdin.readline(_LINE)
    return ShownFactor.of(kind, text)
