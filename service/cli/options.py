"""Options that many commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import platformdirs
import typer

from volens.consent import InputError

HomeOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="VOLENS_HOME",
        help="Folder of the site. Without it, the user's data folder.",
        show_default=False,
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
SecretOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--secret", help="The person's secret, as 'volens consent give' wrote it (custody subject_key)."),
]
SecretQrOption: TypeAlias = Annotated[
    Path | None, typer.Option("--secret-qr", help="The same secret, as an image of its QR.")
]
PackOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--pack",
        help="Folder of an InsightFace pack to use instead of SFace; needs the three options below.",
    ),
]
LicenceOption: TypeAlias = Annotated[
    str | None, typer.Option("--accept-licence", help="Name of the pack's licence, word for word: your use is covered.")
]
PackClaimOption: TypeAlias = Annotated[
    float | None, typer.Option("--pack-claim", help="The pack's threshold for 1:1, cosine similarity.")
]
PackSearchOption: TypeAlias = Annotated[
    float | None, typer.Option("--pack-search", help="The pack's threshold for 1:N, cosine similarity.")
]

OperatorKeyOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--operator-key", help="An operator's private key; again for a second.", show_default=False),
]
PassphraseOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Holds the key's passphrase; without it you are asked.", show_default=False),
]


def home_folder(home: Path | None) -> Path:
    """Return the folder that was named, or the user's data folder for Volens.

    Raises:
        InputError: it is under the home of a user whom this machine does not know.
    """
    folder = home or platformdirs.user_data_path("volens")
    try:
        return folder.expanduser().absolute()
    except RuntimeError:  # what pathlib says
        raise InputError(f"got {folder}, the folder of a user who is not known here; check --home") from None
