"""`volens operator`: who may approve an erasure by order, and how many must."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from volens.consent import InputError, format_time
from volens.erase import OperatorKey, is_protected, public_pem, read_public_pem
from volens.service.cli.named_files import must_be_new, read_file, write_private
from volens.service.cli.options import HomeOption, JsonOption, OperatorKeyOption, PassphraseOption
from volens.service.cli.output import emit, table
from volens.service.cli.session import opened

app = typer.Typer(help="Operators who approve erasures by order.", no_args_is_help=True)

_MIN_PASSPHRASE_BYTES: Final = 8


@app.command("keygen")
def keygen(
    file: Annotated[Path, typer.Argument(help="Where to write the private key (0600); the public one goes beside it.")],
    passphrase_file: PassphraseOption = None,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Leave the key unprotected but for its 0600.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an operator's key pair. The private key stays with the operator; the site gets the .pub only."""
    public = file.with_name(f"{file.name}.pub")
    must_be_new(file, "key")
    must_be_new(public, "public key")
    if no_passphrase and passphrase_file is not None:
        raise InputError("got both --no-passphrase and --passphrase-file; give one of the two")
    passphrase = None if no_passphrase else _passphrase(passphrase_file, again=True)
    if passphrase is not None and len(passphrase) < _MIN_PASSPHRASE_BYTES:
        raise InputError(f"got a passphrase of {len(passphrase)} bytes; expected {_MIN_PASSPHRASE_BYTES} or more")
    key = OperatorKey.from_seed(os.urandom(32))
    write_private(file, key.to_pem(passphrase))
    write_private(public, public_pem(key.public_key))
    said = f"made {file}, which stays with the operator, and {public}; next: volens operator add LABEL --key {public}"
    emit({"key": str(file), "public_key": str(public), "protected": passphrase is not None}, said, as_json=as_json)


@app.command("add")
def add(
    label: Annotated[str, typer.Argument(help="A name or a role; it stands in dossiers.")],
    key: Annotated[Path, typer.Option(help="The operator's public key, the .pub of 'volens operator keygen'.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let somebody approve. Where two operators are required, two must agree, each with --operator-key."""
    public = read_public_pem(read_file(key, "public key"))
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.add_operator(label, public, keys)
    emit({"operator": label.strip()}, f"added operator {label.strip()}", as_json=as_json)


@app.command("list")
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List who may approve, and how many must."""
    with opened(home) as site:
        present, required = site.cohorts.operators(), site.cohorts.operators_required()
    document = {
        "required": required,
        "operators": [
            {"operator": one.label, "public_key": one.public_key.hex(), "added_at": format_time(one.added_at)}
            for one in present
        ],
    }
    rows = [(one.label, one.public_key.hex()[:16], format_time(one.added_at)) for one in present]
    emit(document, table(("operator", "key", "added"), rows), as_json=as_json)
    if not as_json:
        emit(None, f"an erasure by order needs {required} of them" if required > 1 else _NOBODY, as_json=False)


_NOBODY: Final = (
    "an erasure by order needs nobody but whoever sits at the desk; change it with 'volens operator require 2'"
)


@app.command("remove")
def remove(
    label: Annotated[str, typer.Argument(help="Of the operator.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take somebody's right to approve. Where two operators are required, two must agree."""
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.remove_operator(label, keys)
    emit({"operator": label}, f"removed operator {label}; what they approved stays on record", as_json=as_json)


@app.command("require")
def require(
    required: Annotated[int, typer.Argument(help="1: whoever sits at the desk; 2: two operators, with two keys.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set how many operators an erasure by order needs. To lower it again, two must agree."""
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.require_operators(required, keys)
        present = len(site.cohorts.operators())
    said = f"an erasure by order needs {required} from now on"
    if present == required > 1:
        said += "; add a third operator, for with a lost key nobody could approve anything any more"
    emit({"required": required, "operators": present}, said, as_json=as_json)


def operator_keys(paths: list[Path] | None, passphrase_file: Path | None) -> list[OperatorKey]:
    """Open the keys that were named; ask for a passphrase where one is needed and none was given.

    Raises:
        InputError: a key does not open, or nobody can be asked.
    """
    keys = []
    for path in paths or []:
        data = read_file(path, "operator key")
        passphrase = _passphrase(passphrase_file, again=False) if is_protected(data) else None
        keys.append(OperatorKey.from_pem(data, passphrase))
    return keys


def _passphrase(file: Path | None, *, again: bool) -> bytes:
    if file is not None:
        return read_file(file, "passphrase").rstrip(b"\r\n")
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError("nobody can be asked for a passphrase here; give --passphrase-file, or use a key without one")
    asked: str = typer.prompt("Passphrase of the operator's key", hide_input=True, confirmation_prompt=again, err=True)
    return asked.encode("utf-8")
