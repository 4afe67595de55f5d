"""The program `volens`, started: what comes before everything else is imported."""

import sys
from typing import NoReturn

from volens.memory_wiping import restart_wiping
from volens.quick_imports import quick_imports


def main() -> NoReturn:
    """Run the command line and exit."""
    if sys.argv[1:2] == ["serve"] or sys.argv[1:3] == ["door", "run"]:
        restart_wiping()  # these run for months, and hold what people's consents allow
    with quick_imports():
        from volens.service.cli import app  # noqa: PLC0415  after the restart

    app.main()
