"""A next release of the program: a copy of this tree whose store adds a column and a table, run in another process.

It works on both engines.

It has an expansion of the schema, pinned for files, and a contraction. `NextRelease` drives it by lines of JSON.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from house import Clock, House, Person, no_models
from numpy import array, float32

from volens.consent import TakeHome
from volens.store.engine_choice import open_engine
from volens.store.schema.data_tables import REVISIONS

ROOT: Final = Path(__file__).parents[2]
_SUPPORT: Final = Path(__file__).parent

_COLUMN: Final = (
    'col.utc_time("decided_at", nullable=True),\n'
    '    CheckConstraint("(offset_ms IS NULL) = (uncertainty_ms IS NULL)"),\n'
    "    rule=RowRule("
)
_FIELDS: Final = "    decided_at: datetime | None\n    host: str | None\n    lag"
_TABLE: Final = """

node_note: Final = build_table(
    "node_note",
    col.key(col.text_of("process_id", 16)),
    col.nonblank("note"),
    rule=RowRule(changeable=frozenset({"note"})),
)
"""
_EXPAND: Final = '''"""Expansion: a nullable column, and a table with its rules."""

from alembic import op

from volens.store.sqlite.catalogue import table_statements, trigger_statements

revision = "next_expand"
down_revision = "baseline"


def upgrade() -> None:
    op.execute("ALTER TABLE process ADD COLUMN host TEXT")
    for statement in [*table_statements("data"), *trigger_statements("data")]:
        if " node_note" in statement:
            op.get_bind().exec_driver_sql(statement)
'''
_CONTRACT: Final = '''"""Contraction: the column never changes."""

from alembic import op

from volens.store.sqlite.catalogue import table_statements, trigger_statements

revision = "next"
down_revision = "next_expand"


def upgrade() -> None:
    op.execute("DROP TRIGGER process_is_not_changed")
    for statement in [*table_statements("data"), *trigger_statements("data")]:
        if statement.startswith("CREATE TRIGGER process_is_not_changed "):
            op.get_bind().exec_driver_sql(statement)
'''
_STEPS: Final = """
def _expand(connection: Connection, schema: str) -> None:
    connection.exec_driver_sql('ALTER TABLE process ADD COLUMN host TEXT COLLATE "C"')
    expected = declared("data")
    for statement in [*expected.table_statements(), *expected.rule_statements(schema)]:
        if " node_note" in statement:
            connection.exec_driver_sql(statement)


def _contract(connection: Connection, schema: str) -> None:
    for one in declared("data").functions:
        if one.name == "process_before_update":
            connection.exec_driver_sql(one.statement(schema).replace("CREATE", "CREATE OR REPLACE", 1))


STEPS["data"].update(next_expand=_expand, next=_contract)
"""
_DIGEST: Final = """
import sys
from sqlalchemy import create_engine
from volens.store.sqlite import migrator
from volens.store.sqlite.catalogue import digest_of
with create_engine(f"sqlite:///{sys.argv[1]}").begin() as connection:
    migrator.upgrade(connection, "data", "next_expand")
    print(digest_of(connection.connection.driver_connection).hex())
"""


def make_next_release(folder: Path) -> Path:
    """Return a folder for PYTHONPATH with the next release."""
    package = folder / "volens"
    package.mkdir(parents=True)
    for one in (ROOT / "volens").iterdir():
        if one.is_symlink():
            (package / one.name).symlink_to(ROOT / one.name)
        elif one.suffix in {".py", ".typed"}:
            shutil.copy(one, package)
    (package / "store").unlink()
    store = Path(shutil.copytree(ROOT / "store", package / "store", ignore=shutil.ignore_patterns("__pycache__")))
    column = _COLUMN.replace("),\n", '),\n    col.text("host", nullable=True),\n', 1)
    _edit(store / "schema/program_tables.py", {_COLUMN: column}, more=_TABLE)
    _edit(
        store / "programs/processes.py",
        {
            "    decided_at: datetime | None\n    lag": _FIELDS,
            '"revision": REVISIONS[-1]': '"revision": REVISIONS[-1], "host": "new"',
        },
    )
    tables = store / "schema/data_tables.py"
    _edit(tables, {'REVISIONS: Final = ("baseline",)': 'REVISIONS: Final = ("baseline", "next_expand", "next")'})
    imported = "from volens.store.postgres.postgres_catalogue import declared\n"
    steps = {"from sqlalchemy import Connection\n": f"from sqlalchemy import Connection\n\n{imported}"}
    steps["Final[Mapping[str, Mapping[str, SchemaStep]]]"] = "Final[dict[str, dict[str, SchemaStep]]]"
    _edit(store / "postgres/schema_steps.py", steps, more=_STEPS)
    for name, text in (("next_expand", _EXPAND), ("next_contract", _CONTRACT)):
        (store / "sqlite/migrations/data" / f"{name}.py").write_text(text)
    trial = folder / "trial.db"
    open_engine(trial, "data", REVISIONS, create=True).close()
    done = subprocess.run(
        [sys.executable, "-P", "-c", _DIGEST, str(trial)],
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    pinned = f'] = {{"next_expand": {{"sqlite": "{done.stdout.strip()}"}}}}'
    _edit(tables, {"] = {}": pinned})
    return folder


def _edit(path: Path, changes: Mapping[str, str], more: str = "") -> None:
    text = path.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{path.name} has another form now: adapt the next release to it"
        text = text.replace(old, new)
    path.write_text(text + more)


def _environment(release: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (release, ROOT, _SUPPORT)))}


class NextRelease:
    """The driver in a process of the next release."""

    def __init__(self, process: "subprocess.Popen[str]", home: Path) -> None:
        self._process = process
        self._home = home

    def ask(self, what: str, **given: object) -> Any:  # noqa: ANN401  JSON
        """Do one thing there; an error of the site is returned as ``{"error": kind, "text": sentence}``.

        `home` is another home than that of the process.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, "home": str(self._home), **given}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def admit(self) -> Person:
        """Invite and enroll a person there."""
        return person_of(self.ask("admit"))

    def sees(self, person: Person) -> bool:
        """Return whether a person matches there."""
        return self.ask("sees", person=document_of(person)) is True

    def withdraw(self, person: Person) -> str:
        """End a person's consent there."""
        return str(self.ask("withdraw", person=document_of(person)))


@contextmanager
def running(release: Path, home: Path) -> Iterator[NextRelease]:
    """Run the driver of a release until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), "drive"],
        env=_environment(release),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield NextRelease(process, home)
        finally:
            process.kill()


def document_of(person: Person) -> dict[str, object]:
    """Return a person as JSON, for the other process."""
    return {"take_home": person.take_home.to_json().decode("utf-8"), "face": person.face.tolist()}


def person_of(document: Mapping[str, Any]) -> Person:
    """Return the person of a document."""
    return Person(TakeHome.parse(document["take_home"].encode("utf-8")), array(document["face"], dtype=float32))


def _of_operator(asked: Mapping[str, Any], clock: Clock) -> object:
    from volens import Site  # noqa: PLC0415  of the next release
    from volens.store import open_home, role_sql  # noqa: PLC0415  of the next release
    from volens.store.rollout import Step, is_expanded  # noqa: PLC0415  of the next release
    from volens.store.site_databases import read_databases  # noqa: PLC0415  of the next release

    home = Path(asked["home"])
    if asked["do"] == "check":
        with Site.open(home, load_extractor=no_models, clock=clock, random=os.urandom) as site:
            return site.check_rules()
    if asked["do"] == "roles":
        databases = read_databases(home)
        assert databases is not None
        return "\n".join(role_sql(databases, *asked["of"]))
    with closing(open_home(home, clock=clock, random=os.urandom, step=Step(asked["step"]))) as store:
        return [store.data.revision, is_expanded(store.data)]


def _drive() -> None:
    import random  # noqa: PLC0415  only in the driver

    from volens import Site  # noqa: PLC0415  of the next release
    from volens.consent import VolensError  # noqa: PLC0415  of the next release

    clock, house = Clock(), None
    for line in sys.stdin:
        asked = json.loads(line)
        answer: object = None
        try:
            match asked["do"], house:
                case (("step" | "roles" | "check"), _):
                    answer = _of_operator(asked, clock)
                case "open", None:
                    site = Site.open(asked["home"], load_extractor=no_models, clock=clock, random=os.urandom)
                    house = House.of(site, seed=random.SystemRandom().getrandbits(32))
                    answer = house.store.data.revision
                case "follow", House():
                    house.site.feed.follow()
                case "admit", House():
                    answer = document_of(house.admit())
                case "sees", House():
                    answer = house.sees(person_of(asked["person"]))
                case "withdraw", House():
                    answer = house.withdraw(person_of(asked["person"])).reason
                case _:
                    raise AssertionError(asked["do"])
        except VolensError as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _drive()
