"""The command `volens`: its nouns together, and the one place where an error becomes a sentence and an exit code."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from volens.consent import VolensError
from volens.service.cli import audit_commands as audit
from volens.service.cli import backup_commands as backup
from volens.service.cli import certificate_commands as certificate
from volens.service.cli import config_commands as config
from volens.service.cli import consent_commands as consent
from volens.service.cli import credential_commands as credential
from volens.service.cli import demo_commands as demo
from volens.service.cli import doctor_commands as doctor
from volens.service.cli import door_commands as door
from volens.service.cli import dossier_commands as dossier
from volens.service.cli import enroll_commands as enroll
from volens.service.cli import erase_commands as erase
from volens.service.cli import export_commands as export
from volens.service.cli import identify_commands as identify
from volens.service.cli import keys_commands as keys
from volens.service.cli import leaver_commands as leaver
from volens.service.cli import models_commands as models
from volens.service.cli import notice_commands as notice
from volens.service.cli import operator_commands as operator
from volens.service.cli import policy_commands as policy
from volens.service.cli import recipient_commands as recipient
from volens.service.cli import request_commands as request
from volens.service.cli import sender_commands as sender
from volens.service.cli import serve_commands as serve
from volens.service.cli import setup_commands as setup
from volens.service.cli import sweep_commands as sweep
from volens.service.cli import verify_commands as verify
from volens.service.cli import webhook_commands as webhook
from volens.service.cli import withdraw_commands as withdraw
from volens.service.cli import zone_commands as zone
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.process.process_memory import forbid_core_dumps

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
    ("credential", credential.app),
    ("config", config.app),
    ("models", models.app),
    ("audit", audit.app),
    ("keys", keys.app),
    ("certificate", certificate.app),
    ("erase", erase.app),
    ("door", door.app),
    ("dossier", dossier.app),
    ("operator", operator.app),
    ("policy", policy.app),
    ("request", request.app),
    ("recipient", recipient.app),
    ("sender", sender.app),
    ("webhook", webhook.app),
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
    ("serve", serve.serve),
    ("leaver", leaver.leaver),
    ("sweep", sweep.sweep),
    ("backup", backup.backup),
    ("restore", backup.restore),
    ("status", setup.status),
    ("export", export.export),
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
    try:
        code = app(args=list(arguments), prog_name="volens", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read our output is gone; typer says so with SystemExit.
        _silence_stdout()
        return _BROKEN_PIPE
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last boundary: nobody may see a traceback by surprise
        return _tell(error, as_json="--json" in arguments)
    return code if isinstance(code, int) else ExitCode.DONE


def main() -> NoReturn:
    """Run the command line and exit."""
    forbid_core_dumps()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot write is no error
    sys.exit(run(sys.argv[1:]))


def _tell(error: Exception, *, as_json: bool) -> int:
    sentence, code = _sentence(error)
    try:
        if as_json:
            document = {"kind": type(error).__name__, "message": sentence, "exit_code": int(code)}
            sys.stdout.write(json.dumps({"error": document}) + "\n")
        sys.stdout.flush()
    except OSError:  # stdout may be what fails
        _silence_stdout()
        as_json = False
    if not as_json:
        with contextlib.suppress(OSError):  # then nobody can be told, but for the exit code
            sys.stderr.write(f"volens: {sentence}\n")
    return int(code)


def _sentence(error: Exception) -> tuple[str, ExitCode]:
    if isinstance(error, TyperException):
        return error.format_message(), ExitCode.USAGE
    if isinstance(error, VolensError):
        return str(error), code_of(error)
    if os.environ.get("VOLENS_DEBUG") == "1":
        traceback.print_tb(error.__traceback__)
    if isinstance(error, ImportError):
        return f"{error.name or 'a package'} does not import; see 'volens doctor'", ExitCode.UNAVAILABLE
    if isinstance(error, OSError):
        # The rooms have sentences for the files they know. What is left is the machine's: a full disk under stdout.
        reason = error.strerror or type(error).__name__
        return f"the system refuses: {reason}; check the disk, the path and the rights", ExitCode.UNAVAILABLE
    return (
        f"internal error ({type(error).__name__}); this is a bug, please report it; VOLENS_DEBUG=1 shows where it "
        "happened"
    ), ExitCode.INTERNAL


def _silence_stdout() -> None:
    """Let Python's last flush go nowhere; it would fail once more, with a traceback and an exit code of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
