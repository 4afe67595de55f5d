"""`volens notice`: the exact text that people are shown before they sign."""

from pathlib import Path
from typing import Annotated

import typer

from volens import Notice
from volens.service.cli.named_files import read_file
from volens.service.cli.options import HomeOption, JsonOption
from volens.service.cli.output import emit
from volens.service.cli.session import opened

app = typer.Typer(help="Notices: what people are shown before they sign.", no_args_is_help=True)


@app.command("publish")
def publish(
    text: Annotated[Path, typer.Argument(help="A UTF-8 text, at most 256 KiB.", show_default=False)],
    zone: Annotated[str, typer.Option(help="For which zone.")],
    language: Annotated[str, typer.Option(help="BCP 47 tag, such as en or fr-CA.")],
    supersedes_within_days: Annotated[
        int | None,
        typer.Option(help="Ask again: whoever agreed to an older version has so many days to agree to this one."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the next version of a zone's notice in one language."""
    with opened(home) as site:
        notice = site.publish_notice(
            zone, language=language, text=read_file(text, "notice"), supersedes_within_days=supersedes_within_days
        )
    said = f"published version {notice.version} ({notice.language}) for zone {notice.purpose}, SHA-256 {notice.sha256}"
    emit(_document(notice), said, as_json=as_json)


@app.command("show")
def show(
    zone: Annotated[str, typer.Option(help="Of which zone.")],
    language: Annotated[str | None, typer.Option(help="In which language; not needed if there is one only.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest notice of a zone."""
    with opened(home) as site:
        notice = site.notice(zone, language)
    emit(_document(notice) | {"text": notice.text}, notice.text, as_json=as_json)


def _document(notice: Notice) -> dict[str, object]:
    return {
        "zone": notice.purpose,
        "language": notice.language,
        "version": notice.version,
        "sha256": notice.sha256,
    }
