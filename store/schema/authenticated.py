"""Authenticated rows: which rows are sealed together by one MAC, in which scope. See `volens.store.row_seals`.

A scope is a set of rows that grant or limit something together: a consent, a zone, the site. A table about a person is
part of the consent's scope if the registry of personal tables says so (`Personal.authenticated`).

Not in a scope: rows that are sealed by themselves (embeddings, names, kept answers; associated data), the date of the
last visit, which has a MAC of its own, and columns that count something without an entry in the audit log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, final

from sqlalchemy import Index, Table

from volens.store.schema import evidence_tables, invitation_tables, personal_tables, program_tables, promise_tables
from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import RowRule, build_table

row_seal: Final = build_table(
    "row_seal",
    col.key(col.text("scope")),
    col.key(col.text("scope_id")),
    col.integer("generation", ">= 0"),
    col.bytes_of("mac", 32),
    Index("ix_row_seal_generation", "generation"),
    rule=RowRule(deletable=True),
)


class Scope(StrEnum):
    """The kind of a set of rows that are sealed together; its id is the id of its first row."""

    CONSENT = "consent"
    ZONE = "zone"
    SITE = "site"
    """The site: defaults, declarations, own jurisdiction profiles, papers, operators, witnesses, orders to stop."""
    ORDER = "order"
    """An erasure by order, with its members."""
    PROPOSAL = "proposal"
    """The plan of an order, and whether a second privacy officer approved it."""
    CREDENTIAL = "credential"
    SENDER = "sender"
    ENDPOINT = "endpoint"
    JOB = "job"
    INVITATION = "invitation"


DELETED_SCOPES: Final = frozenset({Scope.JOB, Scope.INVITATION})
"""Scopes whose rows are deleted in time: one that is not there is no sign of tampering."""


@final
@dataclass(frozen=True, slots=True)
class ScopedTable:
    """The rows of one table in a scope.

    Attributes:
        key: the column that holds the scope's id; None if all rows of the table belong to one scope.
        unsealed: columns that the MAC does not cover.
    """

    table: Table
    key: str | None
    unsealed: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        """The columns that the MAC covers, in the order of the table."""
        return [column.name for column in self.table.columns if column.name not in self.unsealed]


def scoped_tables(scope: Scope) -> Sequence[ScopedTable]:
    """Return the tables of a scope. The scope exists while there is a row in the first one."""
    return _scoped_tables(scope, tuple(personal_tables.PERSONAL))


@cache
def _scoped_tables(scope: Scope, personal: tuple[personal_tables.Personal, ...]) -> tuple[ScopedTable, ...]:
    if scope is not Scope.CONSENT:
        return _TABLES[scope]
    registered = (one for one in personal if one.authenticated)
    return (
        ScopedTable(personal_tables.live_consent, "receipt_id"),
        ScopedTable(evidence_tables.receipt, "receipt_id"),
        *(ScopedTable(one.table, "receipt_id", one.counters) for one in registered),
    )


_TABLES: Final = {
    Scope.ZONE: (
        ScopedTable(promise_tables.zone, "purpose"),
        ScopedTable(promise_tables.shorter_retention, "purpose"),
        ScopedTable(promise_tables.zone_change, "purpose"),
        # The text is bound by its SHA-256, which `Notice.check` compares.
        ScopedTable(promise_tables.notice, "purpose", frozenset({"text"})),
        ScopedTable(promise_tables.recipient, "purpose"),
        ScopedTable(promise_tables.zone_calibration, "purpose"),
        ScopedTable(promise_tables.zone_declaration, "purpose"),
    ),
    Scope.SITE: (
        ScopedTable(promise_tables.site, "site_id"),
        ScopedTable(promise_tables.operator_key, None),
        ScopedTable(promise_tables.operators_required, None),
        ScopedTable(promise_tables.site_default, None),
        ScopedTable(promise_tables.collection_stop, None),
        ScopedTable(promise_tables.site_declaration, None),
        ScopedTable(promise_tables.jurisdiction_profile, None),
        ScopedTable(promise_tables.made_paper, None),
        ScopedTable(promise_tables.witness, None),
    ),
    Scope.ORDER: (
        ScopedTable(evidence_tables.cohort, "cohort_id"),
        ScopedTable(evidence_tables.cohort_member, "cohort_id"),
    ),
    Scope.PROPOSAL: (ScopedTable(evidence_tables.proposed_order, "cohort_id"),),
    Scope.CREDENTIAL: (
        ScopedTable(program_tables.api_credential, "credential_id"),
        ScopedTable(program_tables.staff_passkey, "credential_id"),
    ),
    Scope.SENDER: (
        ScopedTable(program_tables.webhook_sender, "sender_id"),
        ScopedTable(program_tables.webhook_sender_key, "sender_id"),
    ),
    Scope.ENDPOINT: (ScopedTable(program_tables.webhook_endpoint, "endpoint_id"),),
    Scope.JOB: (ScopedTable(program_tables.job, "job_id", frozenset({"done", "total", "seen_at"})),),
    Scope.INVITATION: (ScopedTable(invitation_tables.invitation, "invitation_id"),),
}
