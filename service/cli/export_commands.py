"""`volens export`: what is held about a person, for them to read and take away (GDPR 15 and 20)."""

from pathlib import Path
from typing import Annotated

import typer

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError
from volens.rights import MAX_FILE_BYTES, is_about, verify_answer
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit
from volens.service.cli.person_argument import receipts_meant, text_shown
from volens.service.cli.session import opened
from volens.store.files import read_private


def export(
    who: Annotated[
        str | None, typer.Argument(help="Whose: a receipt's file, an id, or a name.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The zip to write; answer.zip unless told.")] = None,
    without_embedding: Annotated[
        bool, typer.Option("--without-embedding", help="Leave the embedding's numbers out.")
    ] = False,
    verify: Annotated[
        Path | None,
        typer.Option(help="Check an answer instead; offline, with --key; with a person, also that it is theirs."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", "--trust", help="With --verify: site.pub.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything that is held about a person into a zip that proves itself. Nothing held is an answer too."""
    if verify is not None:
        if key is None:
            raise InputError("got --verify without --key; give --verify FILE --key site.pub")
        _verify(verify, key, who, as_json=as_json)
        return
    if who is None or key is not None:
        raise InputError("got nobody to export; give a receipt's file, an id or a name")
    path = to or Path("answer.zip")
    must_be_new(path, "the answer")
    with opened(home) as site:
        answer = site.answer_access(
            receipts_meant(site, who), with_embedding=not without_embedding, shown=text_shown(who)
        )
    write_private(path, answer.data)
    said = (
        f"wrote {path}: {answer.held} consents that anything is held under"
        if answer.held
        else f"wrote {path}: nothing is held, with the proof of what was searched"
    )
    emit(
        {"file": str(path), "answer_id": answer.answer_id, "held": answer.held},
        f"{said}\nit is for this person alone; hand it over, then delete it here",
        as_json=as_json,
    )


def _verify(path: Path, key: Path, who: str | None, *, as_json: bool) -> None:
    if not path.is_file():
        raise InputError(f"there is no answer {path}; check the path")
    try:
        trusted = VerifierKey.parse(read_file(key, "public key").decode("utf-8").strip())
    except UnicodeDecodeError:
        raise InputError(f"got {key}, which is no public key; give the site's site.pub") from None
    statement = verify_answer(read_private(path, MAX_FILE_BYTES), trusted)
    if who is not None and not is_about(statement, text_shown(who)):
        raise TamperError("integrity: the answer holds, but it was given to another question; ask again")
    said = (
        f"valid: answered by {trusted.name} on {statement['answered_at']}, {len(statement['files'])} files, "
        f"{'something' if statement['holds_anything'] else 'nothing'} is held"
    )
    emit({"valid": True, "signed_by": trusted.name, "statement": dict(statement)}, said, as_json=as_json)
