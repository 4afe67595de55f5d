"""The files that a person takes home: the receipt, its withdrawal code as a QR code, and a secret if there is one."""

import sys
from pathlib import Path
from typing import Final, Self, final

import typer

from volens.consent import InputError, RefusedError, TakeHome
from volens.consent.typed_text import same_text
from volens.erase.pages import PageWords, page_language
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.cli.output import note
from volens.service.notice_markdown import notice_text
from volens.service.qr_codes import secret_qr, withdrawal_qr

_YES: Final = "yes"


@final
class TakeHomeFiles:
    """Writes the files next to each other; as a context manager, it deletes them on failure.

    Attributes:
        written: the files written so far.
    """

    def __init__(self, out: Path) -> None:
        """Check the names of the files; nothing is written yet.

        Raises:
            InputError: one exists already, or its folder does not.
        """
        self.receipt = out
        self.qr = out.with_suffix(".qr.png")
        self.secret = out.with_suffix(".secret.txt")
        self.secret_qr = out.with_suffix(".secret.qr.png")
        self.written: list[Path] = []
        for path, what in self.names().items():
            must_be_new(path, what)

    def names(self) -> dict[Path, str]:
        """Return every file that may be written, and what it is."""
        return {self.receipt: "receipt", self.qr: "QR code", self.secret: "secret", self.secret_qr: "secret"}

    def write(self, take_home: TakeHome) -> None:
        """Write the files (0600).

        Raises:
            InputError, UnavailableError: a file exists already, or the disk fails.
        """
        if take_home.code is None:
            raise InputError("got a receipt file without a withdrawal code")
        files = [(self.receipt, take_home.to_json()), (self.qr, withdrawal_qr(take_home))]
        if take_home.secret is not None:
            files.append((self.secret, take_home.secret.reveal().encode("ascii") + b"\n"))
            files.append((self.secret_qr, secret_qr(take_home.secret)))
        for path, data in files:
            must_be_new(path, "receipt")  # a file of another name that appeared meanwhile is not ours to delete
            write_private(path, data)
            self.written.append(path)

    def remove(self) -> None:
        """Delete what was written: it belongs to a consent that was not recorded."""
        for path in self.written:
            path.unlink(missing_ok=True)
        self.written.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.remove()


def ask_to_agree(text: str, zone: str, language: str, consent_text: str) -> None:
    """Show a notice, what its zone is called and the words to sign on the terminal, and ask for an explicit yes.

    The question and its yes are in the language of the notice; in English, if there are no words in that language.
    The English yes always counts.

    Raises:
        InputError: there is no terminal to ask on.
        RefusedError: the person did not agree.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # the notice is shown on stderr; stdout is for the result
        raise InputError(
            "there is no terminal to ask on; let the person read the notice ('volens notice show'), then pass "
            "--yes-i-read-it"
        )
    words = PageWords("consent_question", page_language(language))
    note(words.text("zone", zone=zone) + f"\n\n{notice_text(text)}\n")
    note(words.text("sign") + f"\n{consent_text}\n")
    yes = words.text("yes")
    answer = typer.prompt(words.text("question", yes=yes), err=True, default=words.text("no"))
    if not (same_text(answer, yes) or same_text(answer, _YES)):
        raise RefusedError("the person did not agree; nothing about the person was recorded")


def ask_about_identity(what: str) -> None:
    """Ask the operator whether the person's identity was checked, before something is handed out.

    Raises:
        InputError: there is no terminal to ask on.
        RefusedError: it was not.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(f"check the person's identity before {what}, then pass --identity-checked")
    answer = typer.prompt(
        f"Did you check the person's identity? Type {_YES} to go on with {what}", err=True, default="no"
    )
    if not same_text(answer, _YES):
        raise RefusedError("the person's identity was not checked; nothing was changed")
