"""`volens export`: answer an access request: everything stored about a person, signed (GDPR 15 and 20)."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from volens import Site
from volens.consent import InputError, TamperError, UnverifiedReceipt
from volens.rights import MAX_FILE_BYTES, is_about, verify_answer
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_site_key, write_private
from volens.service.cli.options import HomeOption
from volens.service.cli.output import counted, members, shown
from volens.service.cli.person_argument import is_file, receipts_meant, searched_by
from volens.service.cli.session import opened
from volens.store.files import read_private
from volens.store.people.invitation_rows import invitations_about
from volens.store.people.people_search import SeveralPeopleError

app = Commands()


@app.command("export", "ada.receipt.json --to ada-answer.zip\n--verify ada-answer.zip --key site.pub")
def export(
    who: Annotated[
        str | None, typer.Argument(metavar="PERSON", help="A receipt file, an id, or a name.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The zip file to write. Default: answer.zip.")] = None,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown", help="Sign that nothing is stored about PERSON, if no one is found by exactly these words."
        ),
    ] = False,
    without_embedding: Annotated[
        bool, typer.Option("--without-embedding", help="Leave out the embedding's numbers.")
    ] = False,
    verify: Annotated[
        Path | None,
        typer.Option(help="Check an answer offline instead, with --key; with PERSON, also that it is theirs."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", "--trust", help="With --verify: site.pub.")] = None,
    home: HomeOption = None,
) -> Output:
    """Write all data stored about a person into a signed zip file.

    With --verify, check such a file.

    A person who is only invited is found by name, by number in the staff list, or by the link of the invitation.

    If no one is found, nothing is written, and names that are nearly the same are shown. With --unknown, the file then
    says that nothing is stored, what was searched for, and what was not.
    """
    if verify is not None:
        if key is None:
            raise InputError("--verify also needs --key with the site's site.pub")
        return _verify(verify, key, who)
    if who is None or key is not None:
        raise InputError("pass a person: a receipt file, an id or a name; --key goes with --verify only")
    path = to or Path("answer.zip")
    must_be_new(path, "the answer")
    with opened(home) as site:
        answer = (
            site.answer_unknown(_text(searched_by(who)))
            if unknown or (not is_file(who) and _is_only_invited(site, who))
            else site.answer_access(
                receipts_meant(site, who),
                with_embedding=not without_embedding,
                searched_for=None if is_file(who) else who.strip(),
            )
        )
    write_private(path, answer.data)
    stored = [counted(answer.held, "consent")] if answer.held else []
    stored += [counted(answer.invitations, "open invitation")] if answer.invitations else []
    text = (
        f"wrote {shown(path)}: data stored under {' and '.join(stored)}"
        if stored
        else f"wrote {shown(path)}: nothing is stored under this; the file states what was searched, and what was not"
    )
    document = {"file": str(path)} | members(answer, "answer_id held invitations")
    return document, f"{text}\ngive the file to this person only, then delete it here"


def _is_only_invited(site: Site, who: str) -> bool:
    """Return whether a text finds an open invitation, and no consent."""
    with suppress(SeveralPeopleError):
        return not site.receipts_of(who) and bool(invitations_about(site.installation.store, who))
    return False


def _text(shown: str | UnverifiedReceipt) -> str:
    return shown if isinstance(shown, str) else shown.claims.receipt_id


def _verify(path: Path, key: Path, who: str | None) -> Output:
    if not path.is_file():
        raise InputError(f"there is no answer {path}; check the path")
    trusted = read_site_key(key)
    statement = verify_answer(read_private(path, MAX_FILE_BYTES), trusted)
    if who is not None and not is_about(statement, searched_by(who)):
        raise TamperError("integrity: the answer is genuine, but it is about another person; request a new one")
    searched_for = "; ".join(f"'{one['text']}'" for one in statement["searched_for"])
    text = (
        f"valid: answered by {trusted.name} on {statement['answered_at']}, {counted(len(statement['files']), 'file')}, "
        f"{'data is' if statement['holds_anything'] else 'nothing is'} stored\n"
        f"searched for: {searched_for}; not searched: {statement['not_searched']}"
    )
    return {"valid": True, "signed_by": trusted.name, "statement": dict(statement)}, text
