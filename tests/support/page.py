"""Pages of docs/, as their readers type them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def console_lines(page: str) -> list[str]:
    """Return the lines of the console blocks of a page, with their dollars."""
    blocks = re.findall(r"```console\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]
