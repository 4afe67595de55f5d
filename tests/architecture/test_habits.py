"""What the product's code never does, and what the repository never holds."""

import ast
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.architecture.code import ROOT, called, imports, modules

NAMES = sorted(modules())

# Each would run or load what someone else wrote, or wrote it so that it cannot be read again safely.
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}
PEOPLE = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".npy", ".npz", ".pkl")
NOT_OURS = {".git", ".venv", "node_modules", "demo-out", "dist", "build"}


@pytest.mark.parametrize("name", NAMES)
def test_the_module_has_no_assert_for_it_would_be_gone_under_dash_o(name: str) -> None:
    assert [node.lineno for node in ast.walk(modules()[name]) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_module_does_not_pickle(name: str) -> None:
    assert FORBIDDEN_IMPORTS.isdisjoint(imported.split(".")[0] for imported in imports(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_module_runs_no_text_as_code_or_command(name: str) -> None:
    for node in ast.walk(modules()[name]):
        assert called(node) not in FORBIDDEN_CALLS, f"line {getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.Call):
            assert not [key for key in node.keywords if key.arg == "shell" and ast.unparse(key.value) != "False"]
            assert not [key for key in node.keywords if key.arg == "allow_pickle" and ast.unparse(key.value) != "False"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.split(".")[0] in {"consent", "audit"}])
def test_the_pure_room_has_no_clock_no_chance_and_no_files_in(name: str) -> None:
    impure = {"os", "random", "secrets", "time", "pathlib", "io", "socket", "subprocess", "sqlite3", "logging", "uuid"}
    assert impure.isdisjoint(imported.split(".")[0] for imported in imports(name))
    calls = {called(node) for node in ast.walk(modules()[name])}
    assert calls.isdisjoint({"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today"})


def kept_files() -> Iterator[str]:
    """Yield the files under version control; without git, all that are not somebody else's."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        run = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            yield from (name for name in run.stdout.split("\0") if name)
            return
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and NOT_OURS.isdisjoint(parts):
            yield "/".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_sealed_things_are_never_inside_a_statement_for_its_cache_would_keep_them(name: str) -> None:
    """`insert(table).values(...)` lives on in SQLAlchemy's cache with the values of the first call (docs/adr/0015)."""
    sealed = ("grant_secret", "biometric_reference", "subject_profile", "badge", "subject_secret")
    statements = [ast.unparse(node.func) for node in ast.walk(modules()[name]) if isinstance(node, ast.Call)]
    assert not [table for table in sealed if f"insert(tables.{table}).values" in statements]


def test_no_picture_and_no_array_of_a_person_is_under_version_control() -> None:
    files = list(kept_files())
    assert "pyproject.toml" in files
    assert [name for name in files if name.lower().endswith(PEOPLE)] == []
