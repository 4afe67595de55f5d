"""`volens withdraw`: a person changes their mind, and what they allowed is erased."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit
from volens.service.cli.session import opened
from volens.service.cli.sweep_commands import erased_document

_MAX_CODE_CHARACTERS = 200


def withdraw(
    receipt: Annotated[Path | None, typer.Argument(help="The receipt, expired or not.", show_default=False)] = None,
    code: Annotated[
        str | None, typer.Option(help="The withdrawal code instead; '-' reads it from standard input.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a consent and erase what it allowed. No login, no reason; doing it twice does no harm."""
    if (receipt is None) == (code is None):
        raise InputError("got both or neither of a receipt and --code; give one of the two")
    if code == "-":
        code = sys.stdin.readline(_MAX_CODE_CHARACTERS)
    shown = read_file(receipt, "receipt") if receipt is not None else None
    with opened(home) as site:
        erased = site.withdraw(receipt=shown, code=code)
        if site.unfinished is not None:
            raise site.unfinished
    said = (
        f"withdrawn: zone {erased.zone} knows this person no more\n"
        f"certificate: {erased.certificate_path}\n"
        f"check it with: volens certificate verify {erased.certificate_path} --trust {site.home / 'site.pub'}"
    )
    emit(erased_document(erased), said, as_json=as_json)
