"""The rooms: one importable name, small public interfaces, one place for each file name. ADR 0032.

Import directions and protected modules are contracts of import-linter (pyproject.toml), run by `test_the_contracts`.
Each rule is one test that lists the modules which break it.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from patience import PATIENCE_S

from tests.architecture.code import ROOMS, ROOT, imported_by, modules, path_of, room_of

MAX_LINES = 400
MAX_PUBLIC_NAMES = 39
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}
LEFT_OUT = {".git", ".venv", "node_modules", "demo-out", "dist", "build"}


def test_the_contracts_of_import_linter_hold() -> None:
    script = Path(sys.executable).parent / "lint-imports"
    command = [script, "--no-cache"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


def test_each_room_is_a_top_level_folder_linked_into_the_package() -> None:
    links = {path.name: path.readlink() for path in (ROOT / "volens").iterdir() if path.is_symlink()}
    assert links == {room: Path("..") / room for room in ROOMS}
    assert {name.split(".")[1] for name in modules() if room_of(name) != "volens"} == set(ROOMS)


def test_no_file_imports_a_room_by_its_bare_name() -> None:
    sources = [path for path in ROOT.rglob("*.py") if LEFT_OUT.isdisjoint(path.relative_to(ROOT).parts)]
    offenders = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources
        for name in imported_by(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] in ROOMS
    }
    assert offenders == set()


def test_no_text_of_code_imports_a_room_by_its_bare_name() -> None:
    """Tests run programs given as texts, in the root of the repository, where a bare name would be found."""
    bare = re.compile(rf"\b(?:from ({'|'.join(ROOMS)})(?:\.\w+)* import|import ({'|'.join(ROOMS)})\b(?! import))")
    offenders = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in ROOT.rglob("*.py")
        if LEFT_OUT.isdisjoint(path.relative_to(ROOT).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for found in bare.finditer(node.value)
    }
    assert offenders == set()


def test_coverage_lists_the_folder_of_each_room() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        folders = tomllib.load(file)["tool"]["coverage"]["run"]["source_dirs"]
    assert sorted(folders) == sorted(["volens", *ROOMS])


def test_no_room_was_loaded_as_a_top_level_module() -> None:
    assert [name for name in sys.modules if name.split(".")[0] in ROOMS] == []


def test_a_package_init_is_a_docstring_and_reexports() -> None:
    offenders = set()
    for name, tree in modules().items():
        if path_of(name).name != "__init__.py" or name == "volens":
            continue
        for node in tree.body[1:]:
            if not isinstance(node, ast.ImportFrom) or any(alias.asname != alias.name for alias in node.names):
                offenders.add(f"{name}:{node.lineno}")
    assert offenders == set()


def test_a_package_reexports_fewer_than_40_public_names() -> None:
    offenders = {}
    for name, tree in modules().items():
        if path_of(name).name == "__init__.py":
            names = [alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
            if len(names) > MAX_PUBLIC_NAMES or any(each.startswith("_") for each in names):
                offenders[name] = len(names)
    assert offenders == {}


def test_a_file_name_is_used_once() -> None:
    stems = Counter(path_of(name).stem for name in modules() if path_of(name).name != "__init__.py")
    assert {stem: count for stem, count in stems.items() if count > 1} == {}


def test_a_module_has_at_most_400_lines_and_no_drawer_name() -> None:
    offenders = {
        name
        for name in modules()
        if name.rpartition(".")[2] in DRAWERS or len(path_of(name).read_text(encoding="utf-8").splitlines()) > MAX_LINES
    }
    assert offenders == set()


def test_no_module_imports_a_private_module_of_another_room() -> None:
    offenders = {
        f"{name}: {imported}"
        for name, tree in modules().items()
        for imported in imported_by(tree)
        if imported.startswith("volens.")
        and room_of(imported) != room_of(name)
        and any(part.startswith("_") and not part.endswith("__") for part in imported.split("."))
    }
    assert offenders == set()


def test_only_the_gate_and_the_receipt_name_the_mint() -> None:
    # A contract on volens.consent._mint does not see `from volens.consent.gate import MINT`, nor `gate.MINT`.
    naming = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "MINT")
        or (isinstance(node, ast.Attribute) and node.attr == "MINT")
        or (isinstance(node, ast.alias) and node.name in {"MINT", "_mint"})
        or (isinstance(node, ast.Constant) and node.value == "MINT")
    }
    assert naming == {f"volens.consent.{name}" for name in ("_mint", "gate", "receipt")}
