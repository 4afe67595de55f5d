"""The output of a command, and the type of a fixture that runs one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Said:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  what json.loads returns
        return json.loads(self.out)


Command = Callable[..., Said]
