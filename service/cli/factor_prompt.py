"""The second factor, a badge number or a PIN: read from a terminal, stdin or a file.

Never from the command's arguments, because other users of the machine can see them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from volens.consent import InputError, SecondFactor, ShownFactor
from volens.service.cli.named_files import read_file, read_stdin_line

BadgeNumberFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="File with the number of the badge shown, if the zone requires one; - asks, or reads stdin.",
        show_default=False,
    ),
]
PinFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="File with the PIN typed, if the zone requires one; - asks, or reads stdin."),
]

_STDIN: Final = Path("-")
_LINE: Final = 200
_PROMPTS: Final = {SecondFactor.BADGE: "Badge number", SecondFactor.PIN: "PIN"}


@contextmanager
def factor_shown(badge_number_file: Path | None, pin_file: Path | None) -> Iterator[ShownFactor | None]:
    """Read the second factor from the file given, and wipe it afterwards; None if neither file was given.

    Raises:
        InputError: both were given, or the text is not a badge number or PIN.
    """
    if badge_number_file is not None and pin_file is not None:
        raise InputError("got both --badge-number-file and --pin-file; pass the one that the zone requires")
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
        file: contains it; None or ``-`` asks at a terminal, or reads a line of stdin if there is no terminal.
        again: ask twice at a terminal.

    Raises:
        InputError: there is no such file, or the text is not a badge number or PIN.
    """
    if file is not None and file != _STDIN:
        text = read_file(file, "file").decode("utf-8")
    elif sys.stdin.isatty():
        text = typer.prompt(_PROMPTS[kind], hide_input=True, confirmation_prompt=again, err=True)
    else:
        text = read_stdin_line(_LINE, "the second factor")
    return ShownFactor.of(kind, text)
