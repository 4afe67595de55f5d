"""The command line as a whole: help, examples, missing options, suggestions, shell completion, narrow terminals."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import every_command
from said import Command
from typer.core import TyperGroup

PROGRAM = [sys.executable, "-c", "from volens.program import main; main()"]


def _commands() -> Iterator[tuple[str, ...]]:
    """Yield the path of each command, and of each group that is a command itself."""

    def below(path: tuple[str, ...], command: object) -> Iterator[tuple[str, ...]]:
        if not isinstance(command, TyperGroup) or command.invoke_without_command:
            yield path
        if isinstance(command, TyperGroup):
            for name, one in command.commands.items():
                yield from below((*path, name), one)

    yield from below((), every_command())


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def _parse(arguments: list[str]) -> None:
    """Parse a command line as Click does, without running it."""
    command = every_command()
    context = command.make_context("volens", list(arguments))
    while isinstance(command, TyperGroup) and context._protected_args:
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)


def _examples(help_text: str) -> list[str]:
    _, _, examples = help_text.partition("\nExample:\n")
    return [line.strip() for line in examples.replace(" \\\n", " ").splitlines() if line.strip()]


def test_the_help_of_every_command_has_examples_that_parse(volens: Command) -> None:
    wrong = []
    for path in _commands():
        examples = _examples(volens(*path, "--help").out)
        for example in examples:
            name, *arguments = shlex.split(example)
            try:
                assert (name, *arguments[: len(path)]) == ("volens", *path)
                _parse(arguments)
            except Exception as error:  # noqa: BLE001  all wrong examples are listed
                wrong.append((path, example, repr(error)))
        wrong += [(path, "no example", "")] * (not examples)

    assert wrong == []


def test_an_example_that_does_not_parse_would_be_found() -> None:
    for arguments in (
        ["zone", "add", "lobby"],
        ["status", "--nothing"],
        ["identify", "--zone", "lobby", "--camera", "x"],
    ):
        with pytest.raises(Exception, match=r"needs|No such option|valid integer"):
            _parse(arguments)


def test_help_fits_a_terminal_of_80_columns_and_lists_every_command_once(
    volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    texts = {path: volens(*path, "--help").out for path in [(), *_commands()]}
    assert [line for text in texts.values() for line in text.splitlines() if len(line) > 80] == []

    panels = ["Person and desk:", "Privacy:", "Operation:", "Integration:"]
    lines = texts[()].splitlines()
    assert [line for line in lines if line in panels] == panels
    listed = [line.split()[0] for line in lines[lines.index(panels[0]) :] if line.startswith("  ") and line[2] != " "]
    assert sorted(listed) == sorted(every_command().commands)
    assert "..." not in "\n".join(lines[lines.index(panels[0]) :])


@pytest.mark.parametrize(
    ("arguments", "missing", "given"),
    [
        (("consent", "give", "--zone", "lobby"), "--name and --out;", "--zone"),
        (("recipient", "remove"), "name and --zone;", "--home"),
        (("certificate", "acknowledge", "c.json", "--recipient", "x"), "needs --statement;", "--recipient"),
        (("notice", "publish", "n.md"), "'volens notice publish' also needs --language;", "--zone"),
    ],
)
def test_all_missing_options_are_named_at_once(
    arguments: tuple[str, ...], missing: str, given: str, volens: Command
) -> None:
    said = volens(*arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert missing in said.err
    assert given not in said.err
    assert "--help' shows an example" in said.err

    as_json = volens(*arguments, "--json")
    assert (as_json.code, as_json.json["error"]["kind"]) == (2, "MissingParameter")
    assert missing in as_json.json["error"]["message"]


def test_an_option_from_the_environment_is_not_missing(volens: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLENS_HOME", "nowhere")
    assert volens("status").code == 6


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (("enrol",), "Did you mean 'enroll'?"),
        (("zone", "lst"), "Did you mean 'list'?"),
        (("status", "--jsn"), "Did you mean '--json'?"),
    ],
)
def test_a_misspelt_command_or_option_is_answered_with_a_suggestion(
    arguments: tuple[str, ...], suggestion: str, volens: Command
) -> None:
    said = volens(*arguments)
    assert (said.code, said.out) == (2, "")
    assert suggestion in said.err


@pytest.mark.parametrize(("shell", "line"), [("bash", "complete -o default"), ("zsh", "compdef"), ("fish", "complete")])
def test_the_completion_script_of_each_shell_is_shown(shell: str, line: str) -> None:
    shown = _run("--show-completion", shell)
    assert shown.returncode == 0, shown.stderr
    assert line in shown.stdout
    assert "_VOLENS_COMPLETE=complete_" + shell in shown.stdout.replace("  ", "")


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [("volens wit", 1, "withdraw"), ("volens zone ", 2, "shorten"), ("volens consent give --jur", 3, "--jurisdiction")],
)
def test_bash_completes_commands_and_options(typed: str, word: int, expected: str) -> None:
    done = _run(_VOLENS_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(word))
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout.split()


def test_completion_is_installed_into_the_users_shell(tmp_path: Path) -> None:
    done = _run("--install-completion", "bash", HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "_VOLENS_COMPLETE" in (tmp_path / ".bash_completions" / "volens.sh").read_text()
    assert "volens.sh" in (tmp_path / ".bashrc").read_text()


def test_completion_of_an_unknown_shell_fails() -> None:
    assert _run("--show-completion", "csh").returncode == 1
    assert _run(_VOLENS_COMPLETE="complete_csh").returncode == 1


@pytest.mark.parametrize("columns", ["40", "80", None])
def test_no_id_is_broken_or_cut_however_narrow_the_terminal(
    columns: str | None, enrolled: Path, volens: Command, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def document(*arguments: object) -> object:
        return volens(*arguments, "--json").json

    receipt, site = enrolled.name, enrolled.parent / "site"
    assert volens("operator", "keygen", "marie.key", "--no-passphrase").code == 0
    assert volens("operator", "add", "Marie, data protection", "--key", "marie.key.pub").code == 0
    request = document("request", "open", "--kind", "access", receipt)["request_id"]
    credential = document("credential", "add", "lobby, left door", "--role", "door", "--zone", "lobby")["credential"]
    sender = document("sender", "add", "the staff list of the house")["sender"]
    assert (
        volens(
            "recipient", "add", "Panels of the building", "--zone", "lobby", "--contact", "p@p.example", "--yes"
        ).code
        == 0
    )
    url = "http://127.0.0.1:9/a/rather/long/path/to/the/panels"
    endpoint = document(
        *("webhook", "add", "Panels of the building", "--zone", "lobby", "--url", url, "--allow-private")
    )["endpoint"]
    order = document("erase", "--stop-collecting", "--jurisdiction", "BR")["order_id"]
    subject = document("identify", "--zone", "lobby", album / "ada-door.png")["faces"][0]["subject_id"]
    identified = volens("identify", "--zone", "lobby", album / "ada-door.png")
    withdrawn = document("withdraw", receipt)
    message = document("webhook", "outbox")["messages"][0]["message"]
    models = [one["name"] for one in document("models", "list")]
    assert columns is None or monkeypatch.setenv("COLUMNS", columns) is None

    shown = {
        ("request", "list"): [request],
        ("credential", "list"): [credential],
        ("sender", "list"): [sender],
        ("recipient", "list"): ["Panels of the building", "p@p.example"],
        ("webhook", "list"): [endpoint, url],
        ("webhook", "outbox"): [message],
        ("operator", "list"): ["Marie, data protection"],
        ("erase", "--standing"): [order],
        ("models", "list"): models,
        ("zone", "list"): ["lobby"],
        ("keys", "show"): ["root.key"],
        ("erase", "prove", withdrawn["certificate"]): [withdrawn["certificate_id"]],
        ("certificate", "verify", withdrawn["certificate"], "--trust", site / "site.pub"): [
            withdrawn["certificate_id"]
        ],
        ("doctor",): [str(site)],
        ("audit", "show"): ["site.created"],
        ("status",): ["lobby"],
    }
    for arguments, ids in shown.items():
        said = volens(*arguments)
        assert said.code == 0, said.err
        for one in ids:
            assert one in said.out, (arguments, said.out)
    assert subject in identified.out


def test_a_table_becomes_blocks_where_it_does_not_fit(
    lobby: Path, volens: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lobby.is_dir()
    wide = volens("zone", "list").out.splitlines()
    columns = "zone title state custody second factor desk signature fpir trigger liveness lease days justification"
    columns += " alternative"
    assert wide[0].split() == columns.split()
    assert len(wide) == 2

    monkeypatch.setenv("COLUMNS", "40")
    narrow = volens("zone", "list").out.splitlines()
    assert narrow[0].split() == ["zone", "lobby"]
    assert narrow[-1].split() == ["alternative", "a", "badge"]
    assert all(len(line) <= 40 for line in narrow)
