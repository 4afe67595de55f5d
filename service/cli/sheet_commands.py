"""`volens consent sheet`: what a person takes home, on one page of A4; and what the desk must not keep."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError, RefusedError, TakeHome
from volens.erase.pages import PageLanguage
from volens.service.cli.command_types import Output
from volens.service.cli.consent_commands import app
from volens.service.cli.desk_copies import REMAINS, copy_to, desk_copies, older_sheets, only_in_files, remove
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import LanguageOption
from volens.service.consent_sheet import sheet_page
from volens.service.sheet_pdf import sheet_pdf


def _made(out: Path, take_home: TakeHome, language: PageLanguage | None) -> bytes:
    match out.suffix.lower():
        case ".html":
            return sheet_page(take_home, language).encode("utf-8")
        case ".pdf":
            return sheet_pdf(take_home, language)
        case _:
            raise InputError(f"got --out {out}; expected a name that ends in .html or .pdf")


@app.command("sheet", "ada.receipt.json --out ada.pdf")
def sheet(
    receipt: Annotated[Path, typer.Argument(help="The file that 'consent give --out' wrote.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The sheet to write, .html or .pdf (0600). It shows the withdrawal code.")],
    language: LanguageOption = None,
    hand_over: Annotated[
        bool,
        typer.Option(
            "--hand-over",
            help="Then overwrite and remove the desk's copies of key, code and receipt. Copy them first to the folder "
            "of --out, if that is another one, such as a USB stick; else the printed sheet is all that remains.",
        ),
    ] = False,
    yes_it_is_printed: Annotated[
        bool, typer.Option("--yes-it-is-printed", help="For scripts: the person has the printed sheet.")
    ] = False,
) -> Output:
    """Write the page that the person takes home: what, until when, who, how to leave, how to check. Needs no site."""
    must_be_new(out, "the sheet")
    take_home = TakeHome.parse(read_file(receipt, "receipt"))
    made = _made(out, take_home, language)
    document: dict[str, object] = {"sheet": str(out)}
    if not hand_over:
        write_private(out, made)
        return document, f"wrote {out}; print it, give it to the person, and remove the file: it shows the code"
    files, folder = desk_copies(receipt, take_home), out.absolute().parent
    sheets = older_sheets(receipt, take_home)
    if folder.samefile(receipt.absolute().parent):
        if kept := only_in_files(files):
            raise InputError(
                f"no sheet shows what is in {kept[0]}, and the person needs it at the door; name a folder of theirs "
                "with --out, such as a USB stick, to which the files are copied"
            )
        write_private(out, made)
        _ask_whether_printed(out, skip=yes_it_is_printed)
        handed, sheets = ["the printed sheet"], [*sheets, out]
    else:
        copies = copy_to(out.parent, files)
        write_private(out, made)
        handed = [str(one) for one in (out, *copies)]
    files += sheets
    remove(files)
    text = "\n".join([f"handed over: {', '.join(handed)}", f"{REMAINS}:", *(f"  {path}" for path in files)])
    return document | {"handed_over": handed, "removed": [str(one) for one in files]}, text


def _ask_whether_printed(out: Path, *, skip: bool) -> None:
    if skip:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"wrote {out}, and removed nothing: there is no terminal to ask whether it was printed; print it, then "
            "pass --yes-it-is-printed with another --out, or name a folder of the person with --out"
        )
    answer = typer.prompt(f"Print {out} now. Does the person have the sheet? Type yes", err=True, default="no")
    if answer.strip().lower() != "yes":
        raise RefusedError(f"nothing was removed; {out} and the desk's copies are still here")
