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
from volens.consent.panel_badge import PanelBadge
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
_LINE: Final = 250
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


def read_panel_badge(file: Path | None) -> PanelBadge:
    """Read the badge number that the panel of the house knows a person by; see `read_factor` for `file`.

    Raises:
        InputError: there is no such file, or the text is not a badge number.
    """
    return PanelBadge.parse(_read_text(file, "Badge number at the panel", "the badge number", again=False))


def read_factor(kind: SecondFactor, file: Path | None, *, again: bool = False) -> ShownFactor:
    """Read a badge number or a PIN; the caller wipes it.

    Args:
        kind: which of the two.
        file: contains it; None or ``-`` asks at a terminal, or reads a line of stdin if there is no terminal.
        again: ask twice at a terminal.

    Raises:
        InputError: there is no such file, or the text is not a badge number or PIN.
    """
    return ShownFactor.of(kind, _read_text(file, _PROMPTS[kind], "the second factor", again=again))


def _read_text(file: Path | None, prompt: str, what: str, *, again: bool) -> str:
    if file is not None and file != _STDIN:
        return read_file(file, "file").decode("utf-8")
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=again, err=True))
    return read_stdin_line(_LINE, what)
