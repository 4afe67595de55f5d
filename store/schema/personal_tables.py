"""Registry of personal tables: every table whose rows belong to a live consent and are deleted when it ends.

`personal_table` declares and registers a table. Everything else that concerns such a table is derived from `PERSONAL`:

| derived | where |
|---|---|
| foreign key to `live_consent` with ON DELETE CASCADE | `personal_table` |
| triggers: needs a live consent, fixed columns, deleted with the consent, custody | `volens.store.sqlite.triggers` |
| forbidden acts that tests and doctor try | `volens.store.sqlite.self_check` |
| counts in the certificate, search terms, rows that are left over | `volens.erase.journal`, `volens.erase.stop` |
| sections and counts of the access answer | `volens.rights.held_data` |
| the rows that a renewed consent takes over | `volens.store.people.renewed_rows` |
| the rows that are sealed with the consent | `volens.store.schema.authenticated` |
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.schema import SchemaItem

from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import RowRule, build_table

CUSTODIES: Final = ("operator", "badge", "subject_key")

OWNER: Final = ("receipt_id", "subject_id", "purpose")
"""The columns that say whose row it is: the key of `live_consent`."""

live_consent: Final = build_table(
    "live_consent",
    col.of_row("receipt_id", "receipt.receipt_id", primary_key=True),
    col.key(col.text("subject_id", index=True)),
    col.of_zone(primary_key=True),
    col.utc_time("expires_at", index=True),
    rule=RowRule(changeable=frozenset({"expires_at"}), only_earlier=("expires_at",), deletable=True),
)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Personal:
    """A table in the registry.

    Attributes:
        table: with the columns of `OWNER`.
        counted_as: what its rows are called in the certificate of an erasure.
        sealed: columns whose bytes are random without a key (ciphertext, digests of ciphertext or of
            random secrets), and what they are called. An erasure searches for them, and the certificate keeps a salted
            hash and the first bytes of each, to recognise an old copy.
        found_by: columns with a keyed hash of something that can be guessed, such as a badge number, and what they are
            called. An erasure searches for them in memory only: a holder of the site's keys could test guesses against
            anything that the certificate kept.
        withheld: columns that the access answer leaves out.
        custodies: in zones of which custody the table may have rows.
        always_counted: the certificate counts it even where there was no row.
        authenticated: the rows grant or limit something, and are sealed with the consent (`volens.store.row_seals`).
        counters: columns of an authenticated table that change without an entry in the log, and that no MAC covers.
        kept_on_renewal: a renewed consent takes the rows over unchanged (`volens.enroll.renewal`).
        example: values for a synthetic row, where those of the columns' types do not fit together.
    """

    table: Table
    counted_as: str
    sealed: Mapping[str, str] = field(default_factory=dict)
    found_by: Mapping[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    custodies: tuple[str, ...] = CUSTODIES
    always_counted: bool = False
    authenticated: bool = False
    counters: frozenset[str] = frozenset()
    kept_on_renewal: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_owned_later(self) -> bool:
        """Whether a row begins without an owner, and gets one by an update."""
        return bool(self.table.c.receipt_id.nullable)


PERSONAL: Final[list[Personal]] = []
"""Every personal table, in the order in which certificates and access answers list them."""


def personal_table(
    name: str,
    *items: SchemaItem,
    counted_as: str,
    changeable: Iterable[str] = (),
    closed_by: str | None = None,
    only_earlier: tuple[str, ...] = (),
    autoincrement: bool = False,
    **facts: Any,  # noqa: ANN401  the other fields of `Personal`
) -> Table:
    """Declare a table of the data file with its foreign key to `live_consent`, and register it."""
    table = build_table(
        name,
        *items,
        ForeignKeyConstraint(OWNER, [live_consent.c[column] for column in OWNER], ondelete="CASCADE"),
        rule=RowRule(frozenset(changeable), closed_by, only_earlier, deletable=True),
        autoincrement=autoincrement,
    )
    if not table.c.receipt_id.primary_key:
        # Otherwise the cascade from `live_consent` may read all rows of a zone, by an index that begins with `purpose`.
        Index(f"ix_{name}_owner", *(table.c[column] for column in OWNER))
    PERSONAL.append(Personal(table, counted_as, **facts))
    return table


def owner(*, one_row: bool = False, nullable: bool = False) -> list[Column[str]]:
    """Return the columns of `OWNER`; with `one_row` a consent has one row at most."""
    receipt_id, *others = (Column(name, col.TEXT, nullable=nullable) for name in OWNER)
    return [col.key(receipt_id) if one_row else receipt_id, *others]


biometric_reference: Final = personal_table(
    "biometric_reference",
    col.row_id("reference_id"),
    *owner(),
    col.text("model_id"),
    col.nonblank("model_licence"),
    col.blob("sealed_embedding", "> 29", example=b"~" * 64),
    col.integer("photo_count", ">= 1"),
    col.utc_time("enrolled_at"),
    UniqueConstraint("receipt_id", "model_id"),
    Index("ix_biometric_reference_purpose_model_id", "purpose", "model_id"),
    autoincrement=True,
    counted_as="sealed embedding",
    sealed={"sealed_embedding": "sealed embedding"},
    withheld=frozenset({"sealed_embedding"}),
    custodies=("operator", "subject_key"),
    always_counted=True,
)

replaced_reference: Final = personal_table(
    "replaced_reference",
    col.row_id("replaced_id"),
    *owner(),
    col.text("model_id"),
    col.one_of("change", "replace", "add"),
    col.bytes_of("recognised_by", 32),
    col.integer("photo_count", ">= 1"),
    col.utc_time("enrolled_at"),
    col.utc_time("replaced_at"),
    counted_as="replaced embeddings",
    sealed={"recognised_by": "beginning of a replaced embedding"},
    withheld=frozenset({"recognised_by"}),
)

score_counts: Final = personal_table(
    "score_counts",
    *owner(one_row=True),
    col.key(col.text("model_id")),
    col.blob("sealed_counts", "> 29", example=b"~" * 64),
    counted_as="score counts",
    sealed={"sealed_counts": "sealed score counts"},
    withheld=frozenset({"sealed_counts"}),
    custodies=("operator",),
)
"""Counts of comparison scores of the photos of an enrollment: `volens.store.people.score_counts`."""

subject_profile: Final = personal_table(
    "subject_profile",
    *owner(one_row=True),
    col.blob("sealed_name"),
    col.utc_time("corrected_at", nullable=True),
    counted_as="sealed name",
    sealed={"sealed_name": "sealed name"},
    withheld=frozenset({"sealed_name"}),
    always_counted=True,
)

badge: Final = personal_table(
    "badge",
    col.row_id("reference_id"),
    *owner(),
    col.text("model_id"),
    col.nonblank("model_licence"),
    col.bytes_of("badge_sha256", 32),
    col.integer("photo_count", ">= 1"),
    col.utc_time("enrolled_at"),
    UniqueConstraint("receipt_id", "model_id"),
    autoincrement=True,
    counted_as="badge records",
    sealed={"badge_sha256": "digest of a badge"},
    custodies=("badge",),
    authenticated=True,
)

subject_secret: Final = personal_table(
    "subject_secret",
    *owner(one_row=True),
    col.bytes_of("commitment", 32),
    counted_as="commitments to personal secrets",
    sealed={"commitment": "commitment to the person's secret"},
    custodies=("subject_key",),
    authenticated=True,
)

leaving: Final = personal_table(
    "leaving",
    *owner(one_row=True),
    col.utc_time("leaves_at"),
    counted_as="leaving dates",
    changeable=("leaves_at",),
    only_earlier=("leaves_at",),
    authenticated=True,
    kept_on_renewal=True,
)

restriction: Final = personal_table(
    "restriction",
    *owner(one_row=True),
    col.utc_time("restricted_at"),
    Index("ix_restriction_purpose", "purpose"),
    counted_as="restrictions",
    authenticated=True,
    kept_on_renewal=True,
)
"""Consents that the person has restricted (GDPR 18): `volens.store.people.restrictions`."""

last_interaction: Final = personal_table(
    "last_interaction",
    *owner(one_row=True),
    col.utc_time("interacted_at"),
    col.bytes_of("mac", 32),
    counted_as="last interactions",
    changeable=("interacted_at", "mac"),
    withheld=frozenset({"mac"}),
)

passage: Final = personal_table(
    "passage",
    col.row_id("passage_id"),
    *owner(),
    col.utc_time("matched_at", index=True),
    col.one_of("kind", "identify", "verify"),
    col.text("model_id"),
    col.text("asked_by", nullable=True),
    UniqueConstraint("receipt_id", "kind", "matched_at"),
    autoincrement=True,
    counted_as="passages",
)

name_disclosure: Final = personal_table(
    "name_disclosure",
    *owner(one_row=True),
    col.key(col.utc_time("shown_on", index=True)),
    col.key(col.nonblank("shown_to")),
    counted_as="days on which the name was shown to staff",
)
"""At most one row for each consent, day and reader: `volens.store.people.disclosures`."""

external_id: Final = personal_table(
    "external_id",
    *owner(one_row=True),
    col.bytes_of("digest", 32),
    UniqueConstraint("purpose", "digest"),
    counted_as="external ids",
    found_by={"digest": "digest of the external id"},
    authenticated=True,
    kept_on_renewal=True,
)

kept_answer: Final = personal_table(
    "kept_answer",
    col.key(col.bytes_of("key_sha256", 32)),
    col.bytes_of("request_sha256", 32),
    col.utc_time("begun_at"),
    col.blob("sealed_answer", nullable=True),
    *owner(nullable=True),
    CheckConstraint("(receipt_id IS NULL) = (subject_id IS NULL) AND (receipt_id IS NULL) = (purpose IS NULL)"),
    CheckConstraint("receipt_id IS NULL OR sealed_answer IS NOT NULL"),
    counted_as="kept answers",
    changeable=("begun_at", "sealed_answer", *OWNER),
    closed_by="sealed_answer",
    sealed={"sealed_answer": "kept answer"},
    withheld=frozenset({"sealed_answer"}),
    example={"sealed_answer": b"~" * 29},
)

second_factor: Final = personal_table(
    "second_factor",
    *owner(one_row=True),
    col.one_of("kind", "badge", "pin"),
    col.bytes_of("lookup", 33, nullable=True),
    col.bytes_of("salt", 16, nullable=True),
    col.bytes_of("verifier", 33),
    col.utc_time("set_at"),
    col.integer("failures", "BETWEEN 0 AND 5"),
    col.utc_time("tried_at", nullable=True),
    UniqueConstraint("purpose", "lookup"),
    CheckConstraint("(kind = 'badge') = (lookup IS NOT NULL) AND (kind = 'pin') = (salt IS NOT NULL)"),
    counted_as="second factors",
    changeable=("failures", "tried_at"),
    found_by={name: f"{name} of the second factor" for name in ("lookup", "salt", "verifier")},
    withheld=frozenset({"lookup", "salt", "verifier"}),
    custodies=("operator",),
    authenticated=True,
    counters=frozenset({"failures", "tried_at"}),
    kept_on_renewal=True,
    example={"kind": "pin", "salt": b"~" * 16},
)

panel_badge: Final = personal_table(
    "panel_badge",
    *owner(one_row=True),
    col.blob("sealed_number"),
    col.utc_time("set_at"),
    counted_as="sealed badge numbers",
    sealed={"sealed_number": "sealed badge number"},
    withheld=frozenset({"sealed_number"}),
    custodies=("operator",),
)
"""Badge numbers at the panel of the house: `volens.store.people.panel_badges`."""
