"""Residual risks: the known limits of the program, from LIMITATIONS.md, which is declared once and shipped with it.

In a checkout the file lies beside the rooms; a wheel installs it as documentation (`shared-data`, pyproject.toml).
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from volens.store.files import read_text_file

_FILE: Final = "LIMITATIONS.md"
_HERE: Final = Path(__file__).resolve().parent
_NOT_RISKS: Final = "## Not built yet"
_SHORT: Final = 60
"""A first sentence below this length is a heading; the next one says what it means."""


@cache
def known_limits() -> tuple[str, ...]:
    """Return the first words of each limit after the section that explains it, in the order of the file. English."""
    text = read_text_file(_file(), "list of limits").decode().partition(_NOT_RISKS)[0]
    return tuple(_limits(text))


def _file() -> Path:
    beside = _HERE.parents[1] / _FILE
    if beside.is_file():
        return beside
    installed = distribution("volens")
    return next(Path(str(installed.locate_file(one))) for one in installed.files or () if one.name == _FILE)


def _limits(text: str) -> Iterator[str]:
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        for point in body.split("\n- ")[1:]:
            words = " ".join(point.partition("\n\n")[0].replace("**", "").replace("`", "").split())
            first, *rest = re.split(r"(?<=[.])\s", words)
            yield f"{heading}: {first} {rest[0]}" if rest and len(first) < _SHORT else f"{heading}: {first}"
