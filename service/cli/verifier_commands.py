"""`volens verifier`: the page that checks documents, as one HTML file for any browser, without a network."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from volens.erase.pages import DEFAULT_LANGUAGE, PageLanguage
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, write_public
from volens.service.cli.output import shown

app = Commands()


@app.command("verifier", "--out verifier.html\n--out verifier-fr.html --language fr")
def verifier(
    out: Annotated[Path, typer.Option(help="The HTML file to write.")],
    language: Annotated[PageLanguage, typer.Option(help="Language of the page: en, fr or de.")] = DEFAULT_LANGUAGE,
) -> Output:
    """Write a page that checks receipts, certificates, dossiers, access answers and logs. No site is needed.

    Open the file in a browser and drop the documents and the site.pub that you kept. Nothing is sent anywhere. The file
    is the same for every site: compare its SHA-256 with that of another copy.
    """
    from volens.service.web.verifier_file import verifier_file  # noqa: PLC0415  the package loads the web framework

    must_be_new(out, "the verifier")
    data = verifier_file(language)
    write_public(out, data)
    digest = sha256(data).hexdigest()
    document = {"file": str(out), "language": language, "size_bytes": len(data), "sha256": digest}
    text = f"wrote {shown(out)}, SHA-256 {digest}\nopen it in a browser, and drop documents and site.pub on it"
    return document, text
