"""The command `volens`: its nouns together, and the one place where an error becomes a sentence and an exit code."""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from consent import VolensError
from service.cli import (
    audit,
    certificate,
    consent,
    demo,
    doctor,
    enroll,
    identify,
    models,
    notice,
    setup,
    verify,
    withdraw,
    zone,
)
from service.cli.exit_codes import ExitCode, code_of

_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141

app = typer.Typer(
    name="volens",
    help="Doors that know only who said yes, and forget them on request. Start with 'volens demo'.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

for _noun, _group in (
    ("zone", zone.app),
    ("notice", notice.app),
    ("consent", consent.app),
    ("models", models.app),
    ("audit", audit.app),
    ("certificate", certificate.app),
):
    app.add_typer(_group, name=_noun)
for _name, _command in (
    ("init", setup.init),
    ("demo", demo.demo),
    ("doctor", doctor.doctor),
    ("enroll", enroll.enroll),
    ("identify", identify.identify),
    ("verify", verify.verify),
    ("withdraw", withdraw.withdraw),
    ("sweep", withdraw.sweep),
    ("status", setup.status),
):
    app.command(_name)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"volens {version('volens')}\n")
        raise typer.Exit


@app.callback()
def volens(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Doors that know only who said yes, and forget them on request. Start with 'volens demo'."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    An error is one sentence on stderr; with ``--json``, one document ``{"error": {...}}`` on stdout. Nothing else of it
    is shown: a traceback could carry what its frames hold. VOLENS_DEBUG=1 shows where an internal error happened.
    """
    as_json = "--json" in arguments
    try:
        code = app(args=list(arguments), prog_name="volens", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return _tell(type(error).__name__, error.format_message(), ExitCode.USAGE, as_json=as_json)
    except VolensError as error:
        return _tell(type(error).__name__, str(error), code_of(error), as_json=as_json)
    except (BrokenPipeError, SystemExit):
        # Whoever read our output is gone; typer says so with SystemExit. Python would complain again at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last boundary: nobody may see a traceback by surprise
        if os.environ.get("VOLENS_DEBUG") == "1":
            traceback.print_tb(error.__traceback__)
        sentence = (
            f"internal error ({type(error).__name__}); this is a bug, please report it; VOLENS_DEBUG=1 shows where it "
            "happened"
        )
        return _tell(type(error).__name__, sentence, ExitCode.INTERNAL, as_json=as_json)
    return code if isinstance(code, int) else ExitCode.DONE


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def _tell(kind: str, sentence: str, code: ExitCode, *, as_json: bool) -> int:
    if as_json:
        error = {"kind": kind, "message": sentence, "exit_code": int(code)}
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
    else:
        sys.stderr.write(f"volens: {sentence}\n")
    return int(code)
