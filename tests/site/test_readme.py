"""The README's walk-through, command by command, as a newcomer types it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from command_line import exit_codes

ROOT = Path(__file__).parents[2]


def commands() -> list[list[str]]:
    """Return the commands of each console block."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return [[line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")] for block in blocks]


def test_the_readme_starts_with_the_two_commands_that_the_makefile_has() -> None:
    first, *_ = commands()

    assert first == ["make demo", "make test"]
    for target in ("demo", "test"):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def test_every_command_of_the_walk_through_works_as_written(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    lines = [command for block in commands()[1:] for command in block]
    assert len(lines) >= 15
    script = "set -euo pipefail\n" + "\n".join(f"echo '=== {n}'\n{line}" for n, line in enumerate(lines))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}

    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(zip(lines, re.split(r"=== \d+\n", done.stdout)[1:], strict=True))
    for command, output in said.items():
        known = "|| echo" not in command
        assert ("exit code 3: no match" in output) is not known, command
    identified = next(output for command, output in said.items() if "--draw" in command)
    assert "Ada Example" in identified
    assert (tmp_path / "walk" / "door.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_of_exit_codes_is_the_one_that_the_program_uses() -> None:

    written = re.findall(r"^\| (\d+) \| ", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert [int(code) for code in written] == sorted(exit_codes())
