"""Self-check: tries every forbidden act in the database, and each must be refused. For tests and `volens doctor`.

An opening compares the catalogue instead: a trigger can be rewritten so that it refuses the rows of this check and no
others. What the check shows is that the rules, as this version declares them and as the database software of this site
runs them, refuse what they are for (docs/adr/0040).

Everything happens inside the caller's transaction and is rolled back to a savepoint. The rows are synthetic: each table
gets one, in zones with names that no zone can have. Most acts are derived from the rules of the tables
(`volens.store.schema.table_builder.RowRule`) and from the registry of personal tables; the others are listed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from volens.consent.errors import DamagedDataError
from volens.store.schema import data_tables as tables
from volens.store.schema.personal_tables import CUSTODIES, OWNER, PERSONAL, Personal
from volens.store.schema.table_builder import UtcDateTime, rule_of, unique_columns

_PAST: Final = "2000-01-01T00:00:00Z"
_OTHER_TIME: Final = "2000-01-01T00:00:01Z"
_FUTURE: Final = "9999-01-01T00:00:00Z"
_LATEST: Final = "9999-12-31T00:00:00Z"
_NEW: Final = "!" * 32
_Row = dict[str, Any]

_OWNERS: Final[Mapping[str, _Row]] = {
    custody: dict(zip(OWNER, (mark * 32, "~" * 43, f"~{custody}"), strict=True))
    for mark, custody in zip("~{|", CUSTODIES, strict=True)
}
"""For each custody a person whose consent is in force, in a zone of that custody."""
_OTHERS: Final[Mapping[str, _Row]] = {
    custody: {**_OWNERS[custody], "receipt_id": mark * 32, "subject_id": "}" * 43}
    for mark, custody in zip("}^`", CUSTODIES, strict=True)
}
"""One more person in each of these zones, of whom there are no other rows."""
_OWNER: Final = _OWNERS["operator"]

_EXAMPLES: Final[Mapping[str, _Row]] = {
    "zone": {"purpose": _OWNER["purpose"], "custody": "operator", "second_factor": "pin", "retention_days": 3},
    "receipt": {**_OWNER, "expires_at": _FUTURE},
    "live_consent": {**_OWNER, "expires_at": _FUTURE},
    "collection_stop": {"jurisdiction": "~"},
    "cohort": {"approval": "~"},
    "cohort_member": {"receipt_id": _OWNERS["badge"]["receipt_id"]},  # under an order no reference is added
    "consent_end": {"receipt_id": _OTHERS["badge"]["receipt_id"], "evidence_until": _FUTURE},
    "api_credential": {"role": "desk"},
    "lease": {"term_seconds": 5},
    "invitation": {"number": 2, "sealed_name": b"~" * 64},
    "audit_node": {"level": -1},
    "audit_checkpoint": {"size": -1},
    "log_shard": {"kept_until": _FUTURE},
    "webhook_sender_key": {"expires_at": _PAST},
    "webhook_endpoint": {"number": 2},
    "process": {"seen_at": _FUTURE},
}
"""Values of synthetic rows, where those that follow from the columns do not fit together."""
_CLOSING: Final[Mapping[str, _Row]] = {
    "access_request": {"outcome": "answered"},
    "job": {"state": "done"},
    "lease": {"acknowledged_generation": 0},
    "proposed_order": {"approved_by": "~~", "approval_index": 0},
    "invitation": {"state": "used", "sealed_name": None},
}
"""What a row gets together with the column that closes it."""


Insert = Callable[[sa.Table, _Row], sa.Insert]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """How a database is asked.

    Attributes:
        dialect: its dialect, with the parameters of its driver.
        replacing: returns an INSERT of a row that takes the place of one with the same key.
        run: gives a compiled statement and its values to the driver.
        fails_whole: a refused statement ends the transaction, or else the last savepoint.
        more: further statements that it must refuse.
        lacks_right: whether an error says that the role has no right to do this, which is a refusal too.
    """

    dialect: sa.Dialect
    replacing: Insert
    run: Callable[[sa.Connection, str, Any], object]
    fails_whole: bool = False
    more: tuple[str, ...] = ()
    lacks_right: Callable[[DBAPIError], bool] = lambda _error: False


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A statement to compile, with its values as the database stores them."""

    clause: sa.UpdateBase | None
    sql: str = ""

    def run(self, connection: sa.Connection, manner: Manner) -> None:
        manner.run(connection, *_compiled(self, manner))


@final
@dataclass(frozen=True, slots=True)
class Act:
    """A statement that the database must refuse, compiled, with its values.

    Attributes:
        what: a name for the error message.
        statement: what is forbidden.
        before: statements that prepare for it, and that the database must accept.
    """

    what: str
    statement: _Prepared
    before: tuple[_Prepared, ...] = ()


def check_refusals(connection: sa.Connection, manner: Manner, acts: Sequence[Act] | None = None) -> None:
    """Try each forbidden act, or those given, and check that personal rows are deleted together with the consent.

    Raises:
        TamperError: the database accepts one; its rules were removed, and nothing may run on it.
    """
    scene, known, ends = _statements(tuple(PERSONAL), manner)
    savepoint = connection.begin_nested()
    try:
        for statement in scene:
            statement.run(connection, manner)
        for act in known if acts is None else acts:
            _must_refuse(connection, manner, act)
        for statement in ends:
            statement.run(connection, manner)
        for table in (*(one.table for one in PERSONAL), tables.webhook_outbox):
            if _count(connection, table):
                raise _accepted(f"a {table.name} row that outlives its consent")
    except IntegrityError:
        raise DamagedDataError("the database refuses what it should accept") from None
    finally:
        savepoint.rollback()


def forbidden_acts(manner: Manner) -> list[Act]:
    """Return what is tried, in the order in which it is tried."""
    return _statements(tuple(PERSONAL), manner)[1]


@cache
def _statements(personal: tuple[Personal, ...], manner: Manner) -> tuple[list[_Prepared], list[Act], list[_Prepared]]:
    """Return what makes the synthetic rows, the forbidden acts, and what ends the consents."""
    rows = _example_rows()
    factors = {"operator": "pin"}
    scene = [
        _insert(
            tables.zone,
            {**rows["zone"], "purpose": f"~{one}", "custody": one, "second_factor": factors.get(one, "none")},
        )
        for one in CUSTODIES
    ]
    for owner in (*_OWNERS.values(), *_OTHERS.values()):
        digest = {"withdrawal_digest": owner["receipt_id"].encode("ascii")}
        scene.append(_insert(tables.receipt, {**rows["receipt"], **owner, **digest}))
        scene.append(_insert(tables.live_consent, {**rows["live_consent"], **owner}))
    made = {tables.site, tables.zone, tables.receipt, tables.live_consent}
    every = tables.metadata.sorted_tables
    scene += [_insert(table, rows[table.name]) for table in every if table not in made]
    acts = [act for table in every for act in _acts_on(table, rows, manner.replacing)]
    acts += [act for one in personal for act in _acts_on_personal(one, rows)]
    ends = [_owned(one, rows, _OWNER) for one in personal if one.is_owned_later]
    live = tables.live_consent
    ends += [_prepared(sa.delete(live).where(live.c.receipt_id == one["receipt_id"])) for one in _OWNERS.values()]
    more = [Act(f"the statement {sql}", _Prepared(None, sql)) for sql in manner.more]
    return scene, [*acts, *_listed_acts(rows, manner.replacing), *more], ends


def _prepared(statement: sa.UpdateBase) -> _Prepared:
    return _Prepared(statement)


@cache
def _compiled(prepared: _Prepared, manner: Manner) -> tuple[str, Any]:
    """Return a statement as the driver wants it, with its values; times are given as text.

    Compiled once: SQLAlchemy would compile them again for each engine, which takes 50 ms.
    """
    if prepared.clause is None:
        return prepared.sql, None
    compiled = prepared.clause.compile(dialect=manner.dialect)
    if compiled.positiontup is None:
        return str(compiled), dict(compiled.params)
    return str(compiled), tuple(compiled.params[name] for name in compiled.positiontup)


def _acts_on(table: sa.Table, rows: Mapping[str, _Row], replacing: Insert) -> Iterator[Act]:
    """Yield what the rule of a table forbids."""
    rule = rule_of(table)
    if rule is None:
        return
    name, row = table.name, rows[table.name]
    fixed = {column: value for column, value in row.items() if column not in rule.changeable}
    if rule.appended_by is not None:
        fixed[rule.appended_by] = _last(table)
        yield Act(f"a gap in {name}", _insert(table, {**row, rule.appended_by: _last(table, 2)}))
    this = sa.and_(*(table.c[column] == value for column, value in fixed.items()))
    if change := _change(table, fixed):
        yield Act(f"a changed {name} row", _update(table, this, change))
    if not rule.deletable:
        yield Act(f"a deleted {name} row", _prepared(sa.delete(table).where(this)))
        yield Act(f"a replaced {name} row", _prepared(replacing(table, {**row, **fixed})))
    if (column := rule.closed_by) is not None:
        closing = _update(table, this, {column: _example(table.c[column]), **_CLOSING.get(name, {})})
        again = _update(table, this, {column: _other(table.c[column])})
        yield Act(f"a {name} row that is changed after {column}", again, (closing,))
    for column in rule.only_earlier:
        yield Act(f"a later {column} of {name}", _update(table, this, {column: _LATEST}))
    for column in rule.only_higher:
        yield Act(f"a lower {column} of {name}", _update(table, this, {column: row[column] - 1}))


def _acts_on_personal(personal: Personal, rows: Mapping[str, _Row]) -> Iterator[Act]:
    """Yield what is forbidden because a row is about a person."""
    name, custody = personal.table.name, personal.custodies[0]
    stranger = {**_OWNERS[custody], "receipt_id": _NEW}
    mixed = {**_OTHERS[custody], "subject_id": _OWNERS[custody]["subject_id"]}
    yield Act(f"a {name} row without consent", _owned(personal, rows, stranger))
    yield Act(f"a {name} row of another person", _owned(personal, rows, mixed))
    elsewhere = next((one for one in CUSTODIES if one not in personal.custodies), None)
    if elsewhere is not None:
        yield Act(f"a {name} row in a zone of another custody", _owned(personal, rows, _OTHERS[elsewhere]))


def _listed_acts(rows: Mapping[str, _Row], replacing: Insert) -> Iterator[Act]:
    """Yield what single rules forbid."""

    def new(table: sa.Table, **values: object) -> _Prepared:
        return _insert(table, {**rows[table.name], **values})

    def change(table: sa.Table, **values: object) -> _Prepared:
        (column, this), *_ = rows[table.name].items()
        return _update(table, table.c[column] == this, values)

    other, keyed = _OTHERS["operator"], _OTHERS["subject_key"]
    reference, factor, live, request = (
        tables.biometric_reference,
        tables.second_factor,
        tables.live_consent,
        tables.access_request,
    )
    expired = _update(live, live.c.receipt_id == other["receipt_id"], {"expires_at": _PAST})
    yield Act("a reference under an expired consent", new(reference, **other), (expired,))
    yield Act("a reference whose person holds no half of the key", new(reference, **keyed))
    ordered = new(tables.cohort_member, receipt_id=other["receipt_id"])
    yield Act("a reference of a person who is being erased", new(reference, **other), (ordered,))
    signed = new(tables.receipt, receipt_id=_NEW, withdrawal_digest=_NEW.encode("ascii"))
    yield Act("a consent without a receipt", new(live, receipt_id=_NEW))
    this = tables.receipt.c.receipt_id == _NEW
    new_code = _update(tables.receipt, this, {"withdrawal_digest": b"]" * len(_NEW)})
    yield Act("a new code for a consent that is not in force", new_code, (signed,))
    stopped = new(tables.collection_stop, order_id=_NEW, jurisdiction=None, purpose=_OWNER["purpose"])
    moved = _update(live, live.c.receipt_id == other["receipt_id"], {"subject_id": _NEW})
    yield Act("a consent that is moved to another person", moved)
    yield Act("a cohort that lists another consent", change(tables.cohort_member, receipt_id=other["receipt_id"]))
    yield Act("a consent where collection is stopped", new(live, receipt_id=_NEW), (signed, stopped))
    mine = tables.leaving.c.receipt_id == _OWNER["receipt_id"]
    yield Act("a leaving date taken back", _prepared(sa.delete(tables.leaving).where(mine)))
    yield Act("a replaced leaving date", _prepared(replacing(tables.leaving, rows["leaving"])))
    yield Act("a longer retention", new(tables.shorter_retention, retention_days=2))
    yield Act("a request that waits longer without a reason", change(request, due_at=_OTHER_TIME))
    two = new(tables.operators_required, required=2)
    yield Act("a cohort without a second operator", new(tables.cohort, cohort_id=_NEW, approval=None), (two,))
    yield Act("a second factor where the person carries the key", new(tables.zone, purpose="~two", custody="badge"))
    unasked = new(factor, **other, kind="badge", salt=None, lookup=b"~" * 33)
    yield Act("a second factor that the zone does not require", unasked)
    yield Act("a sixth try of a PIN", change(factor, failures=6, tried_at=_PAST))
    message = new(tables.webhook_outbox, message_id=_NEW, receipt_id=_NEW)
    yield Act("a message about a person without consent", message, (signed,))
    unbegun = new(tables.kept_answer, key_sha256=_NEW.encode("ascii"), sealed_answer=b"~" * 29)
    yield Act("a response to a request that never began", unbegun)
    shard = tables.log_shard.c.log_index == _last(tables.audit_event)
    closing = _update(tables.log_shard, shard, {"closed_index": 1})
    yield Act("an entry of a shard that is closed", new(tables.shard_leaf, seq=_last(tables.shard_leaf, 1)), (closing,))


def _example_rows() -> dict[str, _Row]:
    """Return a synthetic row for each table; its references to other tables fit."""
    rows: dict[str, _Row] = {}
    personal = {one.table.name: one for one in PERSONAL}
    for table in tables.metadata.sorted_tables:
        row: _Row = {}
        for column in table.columns:
            parent = next((key.column for key in column.foreign_keys), None)
            rule = rule_of(table)
            if column is table.autoincrement_column or column.nullable:
                continue
            if rule is not None and rule.appended_by == column.name:
                row[column.name] = _last(table, 1)
            elif parent is None:
                row[column.name] = _example(column)
            elif isinstance(column.type, sa.Integer):
                row[column.name] = _last(tables.audit_event)
            else:
                row[column.name] = rows[parent.table.name][parent.name]
        row |= _EXAMPLES.get(table.name, {})
        known = personal.get(table.name)
        if known is not None and not known.is_owned_later:
            row |= {**_OWNERS[known.custodies[0]], **known.example}
        rows[table.name] = row
    return rows


def _owned(personal: Personal, rows: Mapping[str, _Row], owner: _Row) -> _Prepared:
    """Return what gives a person a row: an insert, or an update where a row gets its owner later."""
    table, row = personal.table, rows[personal.table.name]
    if personal.is_owned_later:
        this = sa.and_(*(column == row[column.name] for column in table.primary_key))
        return _update(table, this, {**owner, **personal.example})
    unique = {name for names in unique_columns(table) if "receipt_id" not in names for name in names}
    fresh = {column: _other(table.c[column]) for column in unique.intersection(row).difference(OWNER)}
    return _insert(table, {**row, **fresh, **owner})


def _change(table: sa.Table, fixed: _Row) -> _Row:
    """Return another value for one of the columns that never change; where only the owner is fixed, another owner."""
    for column in table.columns:
        is_free = not column.primary_key and not column.foreign_keys and not column.info.get("is_choice")
        if is_free and column.name in fixed:
            return {column.name: _other(column)}
    return dict(_OTHERS["operator"]) if table in {one.table for one in PERSONAL} and "receipt_id" in fixed else {}


def _example(column: sa.Column[Any]) -> Any:  # noqa: ANN401  a value of the column's type
    kinds = ((UtcDateTime, _PAST), (sa.Integer, 1), (sa.LargeBinary, b"~"))
    return column.info.get("example", next((value for kind, value in kinds if isinstance(column.type, kind)), "~"))


def _other(column: sa.Column[Any]) -> Any:  # noqa: ANN401  a value of the column's type
    value = _example(column)
    if isinstance(value, bytes):
        return b"}" * len(value)
    if isinstance(value, str):
        return _OTHER_TIME if value == _PAST else "}" * len(value)
    return value + 1


def _last(table: sa.Table, further: int = 0) -> sa.ColumnElement[int]:
    """Return the number of the last row of a table that counts its rows, or of one that would follow."""
    rule = rule_of(table)
    if rule is None or rule.appended_by is None:
        raise TypeError(f"{table.name} does not count its rows")
    newest = sa.select(sa.func.coalesce(sa.func.max(table.c[rule.appended_by]), -1) + further)
    if rule.appended_in is not None:
        newest = newest.where(table.c[rule.appended_in] == _last(tables.audit_event))
    return newest.scalar_subquery()


def _insert(table: sa.Table, row: _Row) -> _Prepared:
    return _prepared(sa.insert(table).inline().values(row))


def _update(table: sa.Table, this: sa.ColumnElement[bool], values: _Row) -> _Prepared:
    return _prepared(sa.update(table).where(this).values(values))


def _count(connection: sa.Connection, table: sa.Table) -> int:
    mine = table.c.receipt_id.in_([owner["receipt_id"] for owner in _OWNERS.values()])
    return int(connection.scalar(sa.select(sa.func.count()).select_from(table).where(mine)) or 0)


def _must_refuse(connection: sa.Connection, manner: Manner, act: Act) -> None:
    attempt = connection.begin_nested() if act.before or manner.fails_whole else None
    try:
        for statement in act.before:
            statement.run(connection, manner)
        try:
            act.statement.run(connection, manner)
        except IntegrityError:
            return
        except DBAPIError as error:
            if manner.lacks_right(error):
                return
            raise
    finally:
        if attempt is not None:
            attempt.rollback()
    raise _accepted(act.what)


def _accepted(what: str) -> DamagedDataError:
    return DamagedDataError(f"the database accepts {what}; its rules were removed")
