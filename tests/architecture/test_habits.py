"""What the product's code never does and ruff does not see, and what the repository never holds."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator

from tests.architecture.code import ROOT, called, imported_by, modules, room_of
from volens.face import Extractor, read_image
from volens.store.schema import PERSONAL

IMPURE_MODULES = {
    *("os", "random", "secrets", "time", "pathlib", "io"),
    *("socket", "subprocess", "sqlite3", "logging", "uuid"),
}
IMPURE_CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today"}
SEALED_TABLES = ["grant_secret", *(one.table.name for one in PERSONAL if one.sealed or one.found_by)]
JSON_READERS = {"volens.consent.json_reader", "volens.consent.canonical"}
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".npy", ".npz", ".pkl")
OF_A_PAGE = re.compile(r"docs/pages/[a-z-]+\.png")
VAGUE = re.compile(r"\b(nobody|somebody|anybody|whoever|whomever)\b", re.IGNORECASE)
OF_READERS = (".py", ".html", ".toml", ".po", ".js", ".md")
# History, decisions that were made, and the words by which notices are checked.
OTHER_WORDS = ("tests/", "docs/adr/", "CHANGELOG.md", "consent/law/notice_words.toml")
LEFT_OUT = {".git", ".venv", "node_modules", "demo-out", "dist", "build"}


def test_no_module_loads_an_array_with_pickle() -> None:
    offenders = {
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for key in node.keywords
        if key.arg == "allow_pickle" and ast.unparse(key.value) != "False"
    }
    assert offenders == set()


def test_json_is_parsed_by_one_reader_only() -> None:
    """Others accept duplicate members and NaN, and guess the encoding."""
    parsers = {"json.loads", "json.load", "json.JSONDecoder", "pydantic_core.from_json"}
    methods = (".json", ".model_validate_json", ".validate_json")
    offenders = {
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if called(node) in parsers or called(node).endswith(methods)
    }
    offenders |= {name for name, tree in modules().items() if parsers & set(imported_by(tree))}
    offenders = {one for one in offenders if one.partition(":")[0] not in JSON_READERS}
    assert offenders == set()


def test_text_files_are_read_by_one_reader_only() -> None:
    """Others stumble over a byte order mark, over CR LF, or over a file of any size (docs/adr/0045)."""
    own = {"volens.service.process.process_memory", "volens.service.http.person_routes"}
    own |= {"volens.store.log.home_evidence", "volens.service.demo_story"}
    # Files of the package, of /proc and of /sys.
    own |= {
        "volens.erase.pages.page_words",
        "volens.service.process.stop_channel",
        "volens.service.process.usable_cpus",
        "volens.store.system_clock",
    }
    offenders = {
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if name not in own and called(node).endswith((".read_text", "tomllib.load", "stdin.readline", "stdin.read"))
    }
    offenders -= {one for one in offenders if one.startswith("volens.service.cli.named_files:")}
    assert offenders == set()


def test_a_terminal_is_written_and_a_shell_is_quoted_in_one_place() -> None:
    """Text from outside must not reach a terminal unescaped, nor a command to copy unquoted (docs/adr/0045)."""
    writers = {"volens.service.cli.output", "volens.service.cli.app", "volens.service.process.worker"}
    quoting = {"volens.store.files.shell_command"}
    offenders = {
        f"{name}:{node.lineno}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if (
            called(node).endswith(("STDOUT.print", "STDERR.print", "STDOUT.out", "stdout.write", "stderr.write"))
            and name not in writers
        )
        or (called(node) in {"shlex.quote", "shlex.join"} and name not in quoting)
    }
    assert offenders == set()


def test_a_pure_room_has_no_clock_no_randomness_and_no_files() -> None:
    offenders = {
        name
        for name, tree in modules().items()
        if room_of(name) in {"consent", "audit"}
        and (
            IMPURE_MODULES & {imported.split(".")[0] for imported in imported_by(tree)}
            or IMPURE_CALLS & {called(node) for node in ast.walk(tree)}
        )
    }
    assert offenders == set()


def test_sealed_values_are_never_written_inside_an_sql_statement() -> None:
    """SQLAlchemy's statement cache would keep the values of the first call (docs/adr/0015)."""
    offenders = {
        f"{name}: {table}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        for table in SEALED_TABLES
        if called(node) == f"insert(tables.{table}).values"
    }
    assert offenders == set()


def test_store_galleries_and_home_are_passed_as_one_installation() -> None:
    offenders = {
        f"{name}: {node.name}"
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and {"galleries", "home"} <= {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
    }
    assert offenders == set()


def test_no_picture_and_no_array_of_a_person_is_under_version_control() -> None:
    files = list(tracked_files())
    assert "pyproject.toml" in files
    pictures = [name for name in files if name.lower().endswith(PICTURES)]
    assert [name for name in pictures if not OF_A_PAGE.fullmatch(name)] == []


def test_texts_name_the_person_who_acts_and_not_somebody() -> None:
    names = [one for one in tracked_files() if one.endswith(OF_READERS) and not one.startswith(OTHER_WORDS)]
    assert [one for one in names if VAGUE.search((ROOT / one).read_text("utf-8"))] == []


def test_the_pictures_of_pages_show_no_face() -> None:
    found = [name for name in tracked_files() if OF_A_PAGE.fullmatch(name)]
    detector = Extractor.load_default()
    assert [name for name in found if detector.detect(read_image(ROOT / name), longest_side=1280)] == []


def tracked_files() -> Iterator[str]:
    """Yield the files under version control; without git, all files that a build did not make."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        run = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            yield from (name for name in run.stdout.split("\0") if name)
            return
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.is_file() and LEFT_OUT.isdisjoint(parts):
            yield "/".join(parts)


def test_no_test_takes_the_time_when_it_is_collected() -> None:
    """A decorator is evaluated when the file is loaded: on a busy machine that is long before the test runs."""
    offenders = {
        f"{path.relative_to(ROOT)}:{decorator.lineno}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for decorator in node.decorator_list
        if any(called(part).endswith((".now", ".utcnow", ".today", "time.time")) for part in ast.walk(decorator))
    }
    assert offenders == set()
