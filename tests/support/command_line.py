"""The command line, run in this process: the only test module that knows where it is and how it loads its models."""

from collections.abc import Callable, Sequence

import pytest
from said import Said
from typer.core import TyperGroup

from volens.face import Extractor
from volens.service.cli.app import commands
from volens.service.cli.app import run as run_program
from volens.service.cli.exit_codes import ExitCode, code_of


def run(arguments: Sequence[str]) -> int:
    """Run a command as `volens` does; return its exit code. Its output goes to stdout and stderr."""
    return int(run_program(list(arguments)))


def run_captured(capsys: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Run a command; return its exit code and what it printed."""
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return Said(code, out, err)


def every_command() -> TyperGroup:
    """Return the tree of all commands, to read their names, options and help."""
    group = commands()
    assert isinstance(group, TyperGroup)
    return group


def exit_code_of(error: Exception) -> int:
    """Return the exit code of a command that ends with this error."""
    return int(code_of(error))


def exit_codes() -> list[int]:
    """Return all exit codes that a command can end with."""
    return [int(code) for code in ExitCode]


def load_models_by(patch: pytest.MonkeyPatch, load: Callable[[], Extractor]) -> None:
    """Let commands get their models from `load`, so that they are loaded once and not for each command."""
    patch.setattr("volens.service.cli.session.default_models", load)
