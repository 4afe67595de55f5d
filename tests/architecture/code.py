"""The product's source as syntax trees, keyed by dotted name (`volens.consent.zone`). Read once, never run."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
ROOMS: Final = ("audit", "consent", "enroll", "erase", "face", "identify", "index", "rights", "service", "store")


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the product by dotted name; a package by its own name."""
    folders = [ROOT / "volens", *(ROOT / room for room in ROOMS)]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def name_of(path: Path) -> str:
    """Return the dotted name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "volens" else ("volens", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def path_of(name: str) -> Path:
    """Return the file of a dotted name."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def room_of(name: str) -> str:
    """Return the room of a dotted name; `volens` for the modules of the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "volens"


def imported_by(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports, anywhere in it; for ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(node: ast.AST) -> str:
    """Return the dotted name that a call calls, or an empty text."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""
