"""The program `volens`: all commands, and the only place that maps errors to sentences and exit codes."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Final, NoReturn

import typer
from typer import completion
from typer._click import Command as ClickCommand
from typer._click import Context
from typer._click.exceptions import NoSuchOption
from typer.exceptions import TyperException
from typer.main import get_command

from volens.consent import VolensError
from volens.consent.plain_text import escaped
from volens.service.cli import audit_commands as audit
from volens.service.cli import backup_commands as backup
from volens.service.cli import breach_commands as breach
from volens.service.cli import calibrate_commands as calibrate
from volens.service.cli import certificate_commands as certificate
from volens.service.cli import compare_commands as compare
from volens.service.cli import consent_commands as consent
from volens.service.cli import credential_commands as credential
from volens.service.cli import decision_commands as decisions
from volens.service.cli import declare_commands as declare
from volens.service.cli import defaults_commands as defaults
from volens.service.cli import demo_commands as demo
from volens.service.cli import doctor_commands as doctor
from volens.service.cli import door_commands as door
from volens.service.cli import enroll_commands as enroll
from volens.service.cli import erase_commands as erase
from volens.service.cli import export_commands as export
from volens.service.cli import fleet_commands as fleet
from volens.service.cli import identify_commands as identify
from volens.service.cli import import_commands as many
from volens.service.cli import invite_commands as invite
from volens.service.cli import issued_certificate_commands as issued_certificates
from volens.service.cli import jurisdiction_commands as jurisdictions
from volens.service.cli import keys_commands as keys
from volens.service.cli import kiosk_commands as kiosk
from volens.service.cli import lease_commands as lease
from volens.service.cli import leaver_commands as leaver
from volens.service.cli import models_commands as models
from volens.service.cli import notice_commands as notice
from volens.service.cli import operator_commands as operator
from volens.service.cli import pad_commands as pad
from volens.service.cli import papers_commands as papers
from volens.service.cli import people_commands as people
from volens.service.cli import policy_commands as policy
from volens.service.cli import recipient_commands as recipient
from volens.service.cli import renewal_commands as renewal
from volens.service.cli import request_commands as request
from volens.service.cli import restriction_commands as restriction
from volens.service.cli import sender_commands as sender
from volens.service.cli import serve_commands as serve
from volens.service.cli import setup_commands as setup
from volens.service.cli import sheet_commands as sheet
from volens.service.cli import signing_commands as signing
from volens.service.cli import staff_commands as staff
from volens.service.cli import store_commands as store
from volens.service.cli import sweep_commands as sweep
from volens.service.cli import upgrade_commands as upgrade
from volens.service.cli import verifier_commands as verifier
from volens.service.cli import verify_commands as verify
from volens.service.cli import webhook_commands as webhook
from volens.service.cli import withdraw_commands as withdraw
from volens.service.cli import witness_commands as witness
from volens.service.cli import zone_commands as zone
from volens.service.cli.command_types import Commands, Group
from volens.service.cli.exit_codes import ExitCode, code_of
from volens.service.process import forbid_core_dumps

_INTERRUPTED: Final = 130
_BROKEN_PIPE: Final = 141
_COMPLETION: Final = "_VOLENS_COMPLETE"
"""Set by the shell when it asks for completions."""

_PANELS: Final = {
    "Person and desk": [
        one.app for one in (invite, sheet, enroll, many, people, identify, verify, withdraw, leaver, decisions)
    ],
    "Privacy": [
        *(zone.app, declare.app, notice.app, jurisdictions.app, policy.app, papers.app, breach.app, request.app),
        *(export.app, erase.app, operator.app),
        *(certificate.app, certificate.dossier_app, invite.refusal_app, recipient.app, audit.app, witness.app),
        verifier.app,
    ],
    "Operation": [
        one.app
        for one in (demo, setup, defaults, doctor, fleet, upgrade, calibrate, sweep, backup, keys, models, pad, store)
    ],
    "Integration": [
        serve.app,
        serve.config_app,
        credential.app,
        lease.app,
        staff.app,
        door.app,
        kiosk.app,
        sender.app,
        webhook.app,
    ],
}


class _Program(Group):
    """The program; its commands are grouped by whom they are for."""

    def list_panels(self) -> Mapping[str, Sequence[str]]:
        """Return the names of the commands in each panel."""
        return {panel: [name for one in apps for name in one.names()] for panel, apps in _PANELS.items()}

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse arguments. Typer detects the shell for completion; a shell that is named is used instead."""
        match args:
            case ["--show-completion", shell]:
                completion.show_callback(ctx, self.params[0], shell)
            case ["--install-completion", shell]:
                completion.install_callback(ctx, self.params[0], shell)
        return super().parse_args(ctx, args)


consent.app.add_typer(signing.app)
consent.app.add_typer(renewal.app)
consent.app.add_typer(restriction.app)
certificate.app.add_typer(issued_certificates.app)
zone.app.add_typer(compare.app)

app = Commands("volens", cls=_Program, no_args_is_help=True, pretty_exceptions_enable=False)
for _noun in (one for apps in _PANELS.values() for one in apps):
    app.add_typer(_noun)


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
    """Open doors by face for people who gave consent; erase their face data when they withdraw.

    Start with 'volens demo'. 'volens COMMAND --help' explains each command, with an example.
    """


@cache
def commands() -> ClickCommand:
    """Return the tree of all commands. A program that runs several commands builds it once."""
    return get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    An error is one sentence on stderr; with ``--json``, one document ``{"error": {...}}`` on stdout. No traceback is
    shown, because its frames may hold secrets; VOLENS_DEBUG=1 shows where an internal error happened.
    """
    try:
        code = commands()(args=list(arguments), prog_name="volens", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:
        if _COMPLETION in os.environ or "completion" in " ".join(arguments[:1]):
            return int(ended.code or 0)
        _silence_stdout()  # Typer's answer to a broken pipe
        return _BROKEN_PIPE
    except BrokenPipeError:
        _silence_stdout()
        return _BROKEN_PIPE
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last boundary: no user sees a traceback
        return _report(error, as_json="--json" in arguments)
    return code if isinstance(code, int) else ExitCode.DONE


def main() -> NoReturn:
    """Run the command line and exit; `volens.program` calls it."""
    forbid_core_dumps()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot write is not an error
    sys.exit(run(sys.argv[1:]))


def _report(error: Exception, *, as_json: bool) -> int:
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
        with contextlib.suppress(OSError):  # then the exit code alone has to do
            sys.stderr.write(f"volens: {escaped(sentence)}\n")
    return int(code)


def _sentence(error: Exception) -> tuple[str, ExitCode]:
    if isinstance(error, NoSuchOption) and error.possibilities:
        options = " or ".join(f"'{one}'" for one in sorted(error.possibilities))
        return f"{error.message}. Did you mean {options}?", ExitCode.USAGE
    if isinstance(error, TyperException):
        return error.format_message(), ExitCode.USAGE
    if isinstance(error, VolensError):
        return str(error), code_of(error)
    if os.environ.get("VOLENS_DEBUG") == "1":
        traceback.print_tb(error.__traceback__)
    if isinstance(error, ImportError):
        return f"{error.name or 'a package'} cannot be imported; see 'volens doctor'", ExitCode.UNAVAILABLE
    if isinstance(error, OSError):
        # The rooms report the files that they know. What is left comes from the machine: a full disk under stdout.
        reason = error.strerror or type(error).__name__
        return f"system error: {reason}; check the disk, the path and the permissions", ExitCode.UNAVAILABLE
    return (
        f"internal error ({type(error).__name__}); this is a bug, please report it; VOLENS_DEBUG=1 shows where it "
        "happened"
    ), ExitCode.INTERNAL


def _silence_stdout() -> None:
    """Send the interpreter's last flush to /dev/null; it would fail again, with a traceback and its own exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
