"""The files of an invitation: a sheet to print (HTML and PDF), an e-mail text, and a text message."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from volens.consent import InputError, UnavailableError
from volens.service.cli.named_files import must_be_new, write_private
from volens.service.invitation_letter import InvitationLetter
from volens.store.files import make_private_folder


def write_letter(letter: InvitationLetter, folder: Path, invitation_id: str) -> Mapping[str, Path]:
    """Write the files of a letter (0600), none if one of them cannot be written; return them by kind.

    Without the extra 'pdf', or with letters that need a browser, there is no PDF.

    Raises:
        InputError, UnavailableError: a file exists already, or the disk fails.
    """
    contents = {"html": letter.page().encode("utf-8")}
    with suppress(InputError, UnavailableError):  # the HTML file is printed from a browser
        contents["pdf"] = letter.pdf()
    contents |= {"mail.txt": letter.mail().encode("utf-8"), "sms.txt": letter.sms().encode("utf-8")}
    make_private_folder(folder)
    files = {kind: folder / f"invitation-{invitation_id[:8]}.{kind}" for kind in contents}
    written: list[Path] = []
    try:
        for kind, path in files.items():
            must_be_new(path, "the invitation")
            write_private(path, contents[kind])
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return files
