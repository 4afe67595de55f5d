"""Text from outside on a terminal: it controls nothing, begins no line, and commands to copy mean what they say."""

import shlex
import subprocess
from pathlib import Path

import pytest
from said import Command

from volens.consent.plain_text import escaped
from volens.service.cli.output import facts, table
from volens.store.files import shell_command

FORGED = "x.png\n  match: Ada Example, score 0.99\x1b[8m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada-1.png", "ada-1.png"),
        ("Zoë Müller 王芳", "Zoë Müller 王芳"),
        ("\u0645\u06cc\u200c\u062e\u0648", "\u0645\u06cc\u200c\u062e\u0648"),  # joiners are part of Persian words
        ("one\ntwo\r", r"one\ntwo\r"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\u2066a\u2069", r"\u2066a\u2069"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("\ufeffa\u200bb\U000e0041", r"\ufeffa\u200bb\U000e0041"),
        ("tab\there", r"tab\there"),
    ],
)
def test_controls_overrides_and_line_ends_are_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown


def test_cells_of_tables_and_facts_begin_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # with pytest -s, the output is a terminal
    assert FORGED.count("\n") == 1
    assert len(table(("file", "state"), [(FORGED, "ok"), ("b", FORGED)]).splitlines()) == 3
    assert len(facts([("file", FORGED)]).splitlines()) == 1
    assert "\x1b" not in table(("file",), [(FORGED,)]) + facts([("file", FORGED)])


@pytest.mark.parametrize(
    "word",
    [
        "plain",
        "my site/site.pub",
        "it's",
        "$(reboot)",
        "a;b",
        "*",
        "",
        "~root",
        "new\nline",
        "\x1b[8m",
        "a\\nb\n'",
        "ü\u202eb",
    ],
)
def test_a_shell_reads_a_command_to_copy_as_its_words(word: str, tmp_path: Path) -> None:
    line = shell_command("printf", "%s", word, "end")
    assert "\n" not in line
    assert "\x1b" not in line
    said = subprocess.run(["bash", "-c", line], capture_output=True, check=True, cwd=tmp_path)
    assert said.stdout.decode() == f"{word}end"


def test_a_file_name_cannot_write_a_decision(enrolled: Path, volens: Command, album: Path) -> None:
    frame = enrolled.parent / FORGED.replace("/", "")
    frame.write_bytes((album / "group.png").read_bytes())

    said = volens("identify", "--zone", "lobby", frame)

    assert said.code == 3
    assert "\x1b" not in said.out
    assert not [line for line in said.out.splitlines() if line.startswith("  match")]
    assert r"x.png\n  match: Ada Example, score 0.99\x1b[8m: 6 faces" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("identify", "--zone", "lobby", FORGED),
        ("enroll", FORGED, FORGED),
        ("withdraw", FORGED),
        ("certificate", "verify", FORGED, "--trust", FORGED),
        ("config", "check", FORGED),
        ("door", "check", FORGED),
        (FORGED,),
        ("status", f"--{FORGED}"),
        ("zone", "add", FORGED),
    ],
)
def test_an_error_is_one_line_whatever_it_repeats(lobby: Path, volens: Command, arguments: tuple[str, ...]) -> None:
    assert lobby.is_dir()
    said = volens(*arguments)
    assert said.code != 0
    assert "\x1b" not in said.err + said.out
    assert len(said.err.splitlines()) == 1


def test_commands_to_copy_are_quoted(ada: Path, volens: Command, lobby: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = (lobby / "site").rename(lobby / "my site")
    monkeypatch.setenv("VOLENS_HOME", str(home))

    said = volens("withdraw", ada)

    home.rename(lobby / "site")
    assert said.code == 0
    *_, command = said.out.splitlines()
    words = shlex.split(command.partition(": ")[2])
    assert words[:3] == ["volens", "certificate", "verify"]
    assert words[4:] == ["--trust", str(home / "site.pub")]
