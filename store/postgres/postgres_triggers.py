"""PostgreSQL functions and triggers for the rules of rows (`volens.store.schema.row_laws`).

There is one function for each table and event, which tries its rules in turn. Triggers are ENABLE ALWAYS, so that
`session_replication_role` does not turn them off, and TRUNCATE, which fires no trigger of a row, is refused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, final

from sqlalchemy import MetaData

from volens.store.schema.row_laws import NOW, Cascade, Refusal, RowLaw
from volens.store.schema.table_builder import LOG_TIME

_EXPRESSIONS: Final = {
    NOW: """to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')""",
    LOG_TIME: (
        "(SELECT convert_from(substr(leaf, 8, 20), 'UTF8') FROM audit_event"
        " WHERE seq = (SELECT MAX(seq) FROM audit_event))"
    ),
}
_RESULT: Final = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}
NO_TRUNCATE: Final = "volens_no_truncate"


@final
@dataclass(frozen=True, slots=True)
class Function:
    """A trigger function.

    It looks for tables in its own schema first: a temporary table of the same name must not answer for it.

    Attributes:
        name: of the function.
        body: as PostgreSQL stores it, to the letter.
    """

    name: str
    body: str

    def statement(self, schema: str) -> str:
        """Return what makes it in a schema."""
        return (
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql SET search_path = {schema}, pg_temp "
            f"AS $volens${self.body}$volens$"
        )


@final
@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that calls a function of the same schema, always.

    Attributes:
        table: of the trigger.
        name: of the trigger; no other table has one of this name.
        when: such as ``BEFORE INSERT``.
        each: ROW or STATEMENT.
        function: the name of the function.
    """

    table: str
    name: str
    when: str
    each: str
    function: str

    @property
    def statements(self) -> tuple[str, str]:
        """What makes it."""
        return (
            (
                f"CREATE TRIGGER {self.name} {self.when} ON {self.table} FOR EACH {self.each} "
                f"EXECUTE FUNCTION {self.function}()"
            ),
            f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}",
        )


def triggers_of(metadata: MetaData, laws: Iterable[RowLaw]) -> tuple[list[Function], list[Trigger]]:
    """Return the functions and triggers for some tables and their rules."""
    functions, triggers = [_no_truncate()], []
    for function, trigger in _of_laws(laws):
        functions.append(function)
        triggers.append(trigger)
    for table in metadata.sorted_tables:
        name = f"{table.name}_is_not_truncated"
        triggers.append(Trigger(table.name, name, "BEFORE TRUNCATE", "STATEMENT", NO_TRUNCATE))
    return functions, triggers


def _of_laws(laws: Iterable[RowLaw]) -> Iterator[tuple[Function, Trigger]]:
    def place(law: RowLaw) -> tuple[str, str]:
        return (law.table, "AFTER DELETE" if isinstance(law, Cascade) else f"BEFORE {law.event}")

    for (table, when), group in groupby(sorted(laws, key=place), place):
        steps = "".join(_cascade(one) if isinstance(one, Cascade) else _refusal(one) for one in group)
        result = "NULL" if when.startswith("AFTER") else _RESULT[when.split()[1]]
        name = f"{table}_{when.lower().replace(' ', '_')}"
        yield (
            Function(name, f"\nBEGIN\n{steps}RETURN {result};\nEND\n"),
            Trigger(table, name, when, "ROW", name),
        )


def _refusal(law: Refusal) -> str:
    message = f"volens: {law.table} {law.name.replace('_', ' ')}"
    refuse = f"RAISE EXCEPTION '{message}' USING ERRCODE = 'check_violation';"
    return f"{refuse}\n" if law.when is None else f"IF ({_in_dialect(law.when)}) THEN {refuse} END IF;\n"


def _cascade(law: Cascade) -> str:
    return "".join(f"{one};\n" for one in law.deletions)


def _no_truncate() -> Function:
    refuse = "RAISE EXCEPTION 'volens: rows are deleted one by one' USING ERRCODE = 'check_violation';"
    return Function(NO_TRUNCATE, f"\nBEGIN\n{refuse}\nEND\n")


def _in_dialect(condition: str) -> str:
    for portable, own in _EXPRESSIONS.items():
        condition = condition.replace(portable, own)
    return condition
