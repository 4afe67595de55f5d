"""`volens operator`: the operators who may approve an erasure order, and how many approvals it needs."""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from volens import Site
from volens.consent import InputError, format_time
from volens.consent.plain_text import plain_bytes
from volens.consent.typed_text import parse_passphrase
from volens.erase import OperatorKey, is_protected, public_pem, read_public_pem
from volens.service.cli.command_types import Commands, Output
from volens.service.cli.named_files import must_be_new, read_file, write_private, write_public
from volens.service.cli.options import HomeOption, OperatorKeyOption, PassphraseOption
from volens.service.cli.output import counted, members, shown, table
from volens.service.cli.session import opened
from volens.store.files import read_small_file, shell_command

app = Commands("operator", "Manage the operators who approve erasure orders.")

_MIN_PASSPHRASE_BYTES: Final = 8
_FEW: Final = "add one with 'volens operator add', or require fewer with 'volens operator require 1', which is logged"
_DESK_ALONE: Final = "an erasure order needs no operator's key; change this with 'volens operator require 2'"


@app.command("keygen", "marie.key")
def keygen(
    file: Annotated[
        Path, typer.Argument(help="File for the private key (0600); the public key is written to FILE.pub.")
    ],
    passphrase_file: PassphraseOption = None,
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the key; only its file mode (0600) protects it.")
    ] = False,
) -> Output:
    """Make an operator's key pair. The private key stays with the operator; the site gets only the .pub file."""
    public = file.with_name(f"{file.name}.pub")
    must_be_new(file, "key")
    must_be_new(public, "public key")
    if no_passphrase and passphrase_file is not None:
        raise InputError("pass only one of --no-passphrase and --passphrase-file")
    passphrase = None if no_passphrase else _passphrase(passphrase_file, again=True)
    if passphrase is not None and len(passphrase) < _MIN_PASSPHRASE_BYTES:
        raise InputError(f"got a passphrase of {len(passphrase)} bytes; expected {_MIN_PASSPHRASE_BYTES} or more")
    key = OperatorKey.from_seed(os.urandom(32))
    write_private(file, key.to_pem(passphrase))
    write_public(public, public_pem(key.public_key))
    text = (
        f"made {shown(file)} (the operator keeps it) and {shown(public)}\n"
        f"next: {shell_command('volens', 'operator', 'add', 'LABEL', '--key', public)}"
    )
    return {"key": str(file), "public_key": str(public), "protected": passphrase is not None}, text


@app.command("add", '"Marie, data protection" --key marie.key.pub')
def add(
    label: Annotated[str, typer.Argument(help="A name or a role; dossiers show it.")],
    key: Annotated[Path, typer.Option(help="The operator's public key, the .pub of 'volens operator keygen'.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
) -> Output:
    """Add an operator who may approve. As soon as there are as many as are required, all of these must agree."""
    public = read_public_pem(read_file(key, "public key"))
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.add_operator(label, public, keys)
    return {"operator": label.strip()}, f"added operator {label.strip()}"


@app.command("list")
def show(site: Site) -> Output:
    """List the operators, and how many must approve an erasure order."""
    present, required = site.cohorts.operators(), site.cohorts.operators_required()
    document = [members(one, "operator=label public_key added_at") for one in present]
    rows = [(one.label, one.public_key.hex()[:16], format_time(one.added_at)) for one in present]
    needs = f"an erasure order needs {required} operators" if required > 1 else _DESK_ALONE
    if len(present) < required:
        needs += f", and there {'is' if len(present) == 1 else 'are'} {len(present)}: {_FEW}"
    return {"required": required, "operators": document}, f"{table(('operator', 'key', 'added'), rows)}\n{needs}"


@app.command("remove", '"Marie, data protection"')
def remove(
    label: Annotated[str, typer.Argument(help="The operator's label.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
) -> Output:
    """Remove an operator. If two operators are required, two must agree."""
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.remove_operator(label, keys)
    return {"operator": label}, f"removed operator {label}; earlier approvals stay on record"


@app.command("require", "2")
def require(
    required: Annotated[int, typer.Argument(help="1: the operator at the desk alone; 2: two operators with two keys.")],
    operator_key: OperatorKeyOption = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
) -> Output:
    """Set how many operators an erasure order needs. To lower the number again, two must agree."""
    keys = operator_keys(operator_key, passphrase_file)
    with opened(home) as site:
        site.cohorts.require_operators(required, keys)
        present = len(site.cohorts.operators())
    text = f"an erasure order needs {counted(required, 'operator')} from now on"
    if present == required > 1:
        text += "; add a third operator, because one lost key would block every approval"
    return {"required": required, "operators": present}, text


def operator_keys(paths: list[Path] | None, passphrase_file: Path | None) -> list[OperatorKey]:
    """Open operators' keys; ask for a passphrase if a key needs one and no file was given.

    Raises:
        InputError: a key does not open, or there is no terminal to ask on.
    """
    keys = []
    for path in paths or []:
        data = read_file(path, "operator key")
        passphrase = _passphrase(passphrase_file, again=False) if is_protected(data) else None
        keys.append(OperatorKey.from_pem(data, passphrase))
    return keys


def _passphrase(file: Path | None, *, again: bool) -> bytes:
    if file is not None:
        return _normal(read_small_file(file, "passphrase").rstrip(b"\r\n"))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            "there is no terminal to ask for a passphrase; pass --passphrase-file, or use a key without one"
        )
    asked: str = typer.prompt("Passphrase of the operator's key", hide_input=True, confirmation_prompt=again, err=True)
    return _normal(asked.encode("utf-8", "surrogateescape"))


def _normal(passphrase: bytes) -> bytes:
    """Return a passphrase in its normal form, so that it opens the key on any keyboard; random bytes as they are."""
    try:
        return parse_passphrase(plain_bytes(passphrase).decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return passphrase
