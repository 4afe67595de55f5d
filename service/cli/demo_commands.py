"""`volens demo`: the whole story in a minute, on real photos that come with packages."""

from pathlib import Path
from typing import Annotated

import typer

from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the annotated picture and the certificate.")] = Path("demo-out"),
    photos: Annotated[
        Path | None, typer.Option(help="Only write the photos into this folder, to try the other commands with.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse, sign, enroll, identify, withdraw, prove. Exit code 70 if any step of the story fails."""
    from volens.service.demo_story import StoryFailedError, tell_story, write_photos  # noqa: PLC0415  loads models and photos

    if photos is not None:
        written = write_photos(photos)
        emit({"photos": [str(path) for path in written]}, "\n".join(map(str, written)), as_json=as_json)
        return
    try:
        facts = tell_story(out, quiet=as_json)
    except StoryFailedError as error:
        emit({"failed": str(error)}, f"the story failed: {error}", as_json=as_json)
        raise typer.Exit(ExitCode.INTERNAL) from None
    if as_json:
        emit(facts, "", as_json=True)
