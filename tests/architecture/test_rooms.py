"""The rooms, and which way imports go. DESIGN.md section 2, STYLE.md section 1."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import audit
import consent
from tests.architecture.code import ROOMS, ROOT, importers, imports, modules, path_of

BELOW_SERVICE = [room for room in ROOMS if room != "service"]


def test_the_import_contracts_hold() -> None:
    script = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


def test_every_room_of_the_design_is_there_and_is_found_here() -> None:
    found = {name.split(".")[0] for name in modules()}
    assert found == {*ROOMS, "volens"}


@pytest.mark.parametrize("room", BELOW_SERVICE)
def test_the_public_face_is_imported_by_nothing_below_service_not_by(room: str) -> None:
    below = {name for name in importers("volens") if name.split(".")[0] == room}
    assert below == set()


def test_the_public_face_does_not_import_service() -> None:
    assert not {name for name in imports("volens") if name.split(".")[0] == "service"}


@pytest.mark.parametrize("room", ROOMS)
def test_the_front_of_the_room_is_a_docstring_imports_and_all(room: str) -> None:
    docstring, *rest = modules()[room].body
    assert isinstance(docstring, ast.Expr)
    assert ast.get_docstring(modules()[room])
    for node in rest:
        is_all = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert is_all or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "service"])
def test_the_room_exports_what_it_imports_sorted_and_once(room: str) -> None:
    body = modules()[room].body
    exported = next(
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    imported = [alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert len(exported) == len(set(exported))
    assert sorted(exported) == sorted(imported)
    assert not [name for name in exported if name.startswith("_")]


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_module_says_what_it_is_for_in_at_most_400_lines(name: str) -> None:
    assert ast.get_docstring(modules()[name]), "no docstring"
    assert len(path_of(name).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_module_is_not_a_drawer(name: str) -> None:
    assert name.rpartition(".")[2] not in {"utils", "util", "helpers", "helper", "common", "misc"}


def test_only_the_gate_and_the_capabilities_import_the_mint() -> None:
    assert importers("consent._mint") == {"consent.gate", "consent.grant", "consent.receipt"}


def test_nothing_else_so_much_as_names_the_mint() -> None:
    # A contract on consent._mint does not see `from consent.gate import MINT`, nor `consent.gate.MINT`.
    naming = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "MINT")
        or (isinstance(node, ast.Attribute) and node.attr == "MINT")
        or (isinstance(node, ast.alias) and node.name in {"MINT", "_mint"})
        or (isinstance(node, ast.Constant) and node.value == "MINT")
    }
    assert naming == {"consent._mint", "consent.gate", "consent.grant", "consent.receipt"}


def test_the_mint_is_not_exported() -> None:
    for room in (consent, audit):
        assert "MINT" not in room.__all__
        assert not hasattr(room, "MINT")


def test_only_the_references_open_sealed_embeddings() -> None:
    assert importers("store._unseal") == {"store.references"}


@pytest.mark.parametrize("name", sorted(modules()))
def test_the_module_reaches_into_no_other_rooms_private_modules(name: str) -> None:
    room = name.split(".", maxsplit=1)[0]
    foreign = {
        imported
        for imported in imports(name)
        if imported.split(".")[0] in {*ROOMS, "volens"} - {room}
        and any(part.startswith("_") and not part.endswith("__") for part in imported.split("."))
    }
    assert foreign == set()
