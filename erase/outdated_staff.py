"""Outdated rows about staff and programs: ended credentials, removed operators, declarations that are superseded, jobs.

They name members of staff, or say when one did something. Part of the sweep (`volens.erase.outdated_evidence`); the
periods are declared in `volens.store.schema.retention`.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select

from volens.store import Store
from volens.store.log.remembrance import EVIDENCE_DELETED
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.schema.retention import RETENTION

_BATCH: Final = 250
_credential, _operator, _job = tables.api_credential.c, tables.operator_key.c, tables.job.c


def delete_outdated_staff(store: Store, log_before: datetime, evidence_before: datetime) -> Counter[str]:
    """Delete what ended before these times; return how many of what. Can be repeated at any time.

    Raises:
        TamperError: the rows of the site or of a zone were changed by another program.
    """
    deleted = _credentials(store, log_before)
    deleted += _operators(store, evidence_before)
    deleted += _superseded(store, tables.site_declaration, log_before)
    deleted += _superseded(store, tables.zone_declaration, log_before)
    _jobs_and_messages(store)
    return deleted


def _credentials(store: Store, before: datetime) -> Counter[str]:
    deleted = Counter[str]()
    ended = or_(_credential.ended_at <= before, _credential.expires_at <= before)
    outdated = select(_credential.credential_id).where(ended).order_by(_credential.credential_id).limit(_BATCH)
    while True:
        with store.read() as connection:
            if not connection.scalars(outdated).all():
                return deleted
        with store.write() as tx:
            ids = tx.connection.scalars(outdated).all()
            tx.log(EVIDENCE_DELETED, {"credentials": len(ids)})
            for table in (tables.staff_passkey, tables.lease, tables.api_credential):
                tx.connection.execute(delete(table).where(table.c.credential_id.in_(ids)))
            tx.ending(Scope.CREDENTIAL, ids)
        deleted["credentials"] += len(ids)


def _operators(store: Store, before: datetime) -> Counter[str]:
    """Delete removed operators, unless an order is kept that they may have approved."""
    cohort = tables.cohort.c
    approving = select(cohort.cohort_id).where(cohort.begun_at <= _operator.removed_at)
    outdated = select(_operator.name).where(_operator.removed_at <= before, ~approving.exists())
    with store.read() as connection:
        if not connection.scalars(outdated).all():
            return Counter()
    with store.write() as tx, tx.changing(Scope.SITE, [store.keyring.site_id]):
        names = tx.connection.scalars(outdated).all()
        tx.log(EVIDENCE_DELETED, {"operators": len(names)})
        tx.connection.execute(delete(tables.operator_key).where(_operator.name.in_(names)))
    return Counter(operators=len(names))


def _superseded(store: Store, table: Table, before: datetime) -> Counter[str]:
    """Delete declarations since which the same fact was declared again, before a time."""
    newer, key = table.alias("newer"), [column for column in table.primary_key if column.name != "number"]
    again = select(newer.c.number).where(
        newer.c.fact == table.c.fact,
        newer.c.number > table.c.number,
        newer.c.declared_at <= before,
        *(newer.c[column.name] == column for column in key),
    )
    outdated: ColumnElement[bool] = again.exists()
    with store.read() as connection:
        zones = connection.scalars(select(table.c.purpose).where(outdated).distinct()).all() if key else ()
        found = zones if key else connection.scalars(select(table.c.number).where(outdated)).all()
    if not found:
        return Counter()
    scope, ids = (Scope.ZONE, list(zones)) if key else (Scope.SITE, [store.keyring.site_id])
    with store.write() as tx, tx.changing(scope, ids):
        numbers = [tuple(row) for row in tx.connection.execute(select(*table.primary_key).where(outdated))]
        tx.log(EVIDENCE_DELETED, {"declarations": len(numbers)})
        for row in numbers:
            this = and_(*(column == value for column, value in zip(table.primary_key, row, strict=True)))
            tx.connection.execute(delete(table).where(this))
    return Counter(declarations=len(numbers))


def _jobs_and_messages(store: Store) -> None:
    """Delete old jobs and what is left of messages that were carried out; a new one does the same. And silent doors."""
    message, door = tables.webhook_message.c, tables.door_report.c
    job_before, message_before, door_before = (
        store.now() - timedelta(days=RETENTION[name].days or 0) for name in ("job", "webhook_message", "door_report")
    )
    jobs = select(_job.job_id).where(_job.seen_at < job_before)
    carried_out = and_(message.received_at < message_before, message.sealed_request.is_(None))
    with store.read() as connection:
        silent = select(door.door_id).where(door.seen_at < door_before)
        messages = select(message.received_at).where(carried_out)
        is_any = connection.scalar(select(or_(jobs.exists(), messages.exists(), silent.exists())))
    if not is_any:
        return
    with store.write() as tx:
        ids = tx.connection.scalars(jobs).all()
        tx.ending(Scope.JOB, ids)
        tx.connection.execute(delete(tables.job).where(_job.job_id.in_(ids)))
        tx.connection.execute(delete(tables.webhook_message).where(carried_out))
        tx.connection.execute(delete(tables.door_report).where(door.seen_at < door_before))
