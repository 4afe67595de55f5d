"""Command classes: examples in help, all missing options in one error, option groups, commands grouped by reader."""

import inspect
import re
import shlex
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import wraps
from typing import Any, TypeAlias, TypeVar, get_type_hints

import typer

# Typer carries its own copy of Click, which has no public name; pyproject.toml pins the minor version of Typer.
from typer._click import Command as ClickCommand
from typer._click import Context, HelpFormatter
from typer._click.exceptions import MissingParameter as FirstMissing
from typer.core import TyperCommand, TyperGroup

from volens import Site
from volens.service.cli.options import HomeOption, JsonOption, OptionGroup
from volens.service.cli.output import emit
from volens.service.cli.session import opened

_DASHED_ID = re.compile("-[0-9A-Za-z_-]{42}")
"""An RFC 7638 thumbprint in base64url (`volens.consent.DataSubjectId`) that looks like options; none is as long."""

Function = TypeVar("Function", bound=Callable[..., Any])

Output: TypeAlias = tuple[object, str]
"""The result of a command: the JSON document, and the text."""


class MissingParameter(typer.TyperException):
    """Required options or arguments are missing; the message names all of them. JSON errors carry this class name."""


class _Explained(ClickCommand):
    """What commands and groups share. The epilog holds examples: arguments, one line for each."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse arguments; name all that are missing.

        Raises:
            MissingParameter: at least one required option or argument is missing.
        """
        given = list(args)  # the parser empties its list
        try:
            return super().parse_args(ctx, args)
        except FirstMissing:
            values, _, _ = self.make_parser(ctx).parse_args(args=given)
            missing = [
                (one.get_usage_pieces(ctx) or one.opts)[0].strip("{}.")
                for one in self.get_params(ctx)
                if one.required and one.value_is_missing(one.consume_value(ctx, values)[0])
            ]
            named = " and ".join(filter(None, (", ".join(missing[:-1]), missing[-1])))
            raise MissingParameter(
                f"'{ctx.command_path}' also needs {named}; '{ctx.command_path} --help' shows an example"
            ) from None

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the examples, so that each can be copied without changes."""
        with formatter.section("Example"):
            indent = " " * formatter.current_indent
            for arguments in (self.epilog or "").split("\n"):
                # A quoted value stays on one line, an option with its value: such blanks are hidden from textwrap.
                words = [word.replace(" ", "\0") for word in shlex.split(arguments, posix=False)]
                lines = textwrap.wrap(
                    re.sub(r"(--[\w-]+) (?!-)", "\\1\0", " ".join([ctx.command_path, *words])),
                    formatter.width - len(indent) - len(" \\"),
                    subsequent_indent="  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                formatter.write(" \\\n".join(indent + line for line in lines).replace("\0", " ") + "\n")


class Command(_Explained, TyperCommand):
    """A command with an example."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse arguments; the id of a data subject is one also if it begins with a dash, as one in 64 does.

        Raises:
            MissingParameter: see `_Explained.parse_args`.
        """
        takes_value = {opt for one in self.get_params(ctx) if not getattr(one, "is_flag", True) for opt in one.opts}
        ids = [
            at
            for at, word in enumerate(args)
            if _DASHED_ID.fullmatch(word) and not (at and args[at - 1] in takes_value)
        ]
        if ids and "--" not in args:
            args = [word for at, word in enumerate(args) if at not in ids] + ["--"] + [args[at] for at in ids]
        return super().parse_args(ctx, args)


class Group(_Explained, TyperGroup):
    """A noun with commands."""

    def list_panels(self) -> Mapping[str, Sequence[str]]:
        """Return the sections of the help, each with names of commands."""
        return {"Commands": list(self.commands)}

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the commands in their sections, each with the first sentence of its help."""
        del ctx
        longest = max(map(len, self.commands))
        for panel, names in self.list_panels().items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(longest), _first_sentence(self.commands[name])) for name in names])

    def format_epilog(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write the examples of a group that is a command itself."""
        if self.invoke_without_command:
            super().format_epilog(ctx, formatter)


class Commands(typer.Typer):
    """A Typer whose commands are of these classes. Without a name, its commands become commands of its parent."""

    def __init__(
        self,
        name: str | None = None,
        text: str | None = None,
        *,
        example: str = "",
        cls: type[Group] = Group,
        **settings: Any,  # noqa: ANN401  as Typer takes them
    ) -> None:
        """Declare a noun: its name, its help, and an example of its arguments if it is a command itself."""
        if text is not None:  # else the callback's docstring is the help
            settings |= {"help": text, "no_args_is_help": True}
        super().__init__(name=name, cls=cls, epilog=example, rich_markup_mode=None, **settings)

    def names(self) -> list[str]:
        """Return its name, or without one the names of its commands."""
        return (
            [self.info.name] if isinstance(self.info.name, str) else [str(one.name) for one in self.registered_commands]
        )

    def command(self, name: str, example: str = "") -> Callable[[Function], Function]:  # type: ignore[override]
        """Register a command with an example of its arguments.

        An `OptionGroup` stands for its options. A parameter ``site`` is the open site of the option ``--home``.
        A command that returns `Output` has the option ``--json``.
        """
        register = super().command(name, cls=Command, epilog=example)

        def decorate(function: Function) -> Function:
            register(_expanded(function))
            return function

        return decorate


def _first_sentence(command: ClickCommand) -> str:
    return re.split(r"(?<=\.)\s", " ".join((command.help or "").split()), maxsplit=1)[0]


def _expanded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with the parameters that Typer parses; it calls `function` with what they stand for."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, OptionGroup] = {
        name: one
        for name, hint in hints.items()
        for one in (hint, *getattr(hint, "__metadata__", ()))
        if isinstance(one, OptionGroup)
    }
    opens_site, prints = hints.get("site") is Site, hints.get("return") == Output
    options: list[tuple[str, Any, object]] = []
    for one in inspect.signature(function).parameters.values():
        if one.name in groups:
            options += groups[one.name].declare()
        elif one.name != "site":
            options.append((one.name, hints[one.name], one.default))
    options += [("home", HomeOption, None)] if opens_site else []
    options += [("as_json", JsonOption, False)] if prints else []

    @wraps(function)
    def expanded(**values: Any) -> Any:  # noqa: ANN401  what the options hold
        for name, group in groups.items():
            values[name] = group.take(values)
        as_json = prints and values.pop("as_json")
        with opened(values.pop("home")) if opens_site else nullcontext() as site:
            result = function(**values | ({"site": site} if opens_site else {}))
        if prints:
            emit(*result, as_json=as_json)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, keyword, default=default, annotation=kind) for name, kind, default in options]
    vars(expanded)["__signature__"] = inspect.Signature(parameters)  # Typer reads both
    expanded.__annotations__ = {name: kind for name, kind, _ in options}
    return expanded
