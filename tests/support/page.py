"""Pages of docs/, as their readers type them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def console_lines(page: str) -> list[str]:
    """Return the lines of the console blocks of a page, with their dollars."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def programs(folder: Path, others: Mapping[str, str] | None = None) -> Path:
    """Return a new folder with `volens` and `python` of the interpreter that runs the tests, and other programs.

    `others` are their command lines by name.
    """
    folder.mkdir()
    volens = f"'{sys.executable}' -c 'from volens.program import main; main()'"
    for name, line in {"volens": volens, "python": f"'{sys.executable}'", **(others or {})}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def typed(script: str, folder: Path, timeout_s: float, at_the_end: str = "true") -> subprocess.CompletedProcess[str]:
    """Run the commands of a page in one terminal; background jobs are ended with it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLENS_HOME")}
    stop = f"kill $(jobs -p) 2>/dev/null; {at_the_end}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap '{{ {stop}; }} > /dev/null 2>&1 || true' EXIT\n{script}"],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
