"""Signposts: what is left of a database after its site was moved to another place, and the marks of unfinished copies.

A moved database has no table but the signpost, which names the new place. So every opening refuses it, and a process
that still has it open finds another schema, or no table, in its next transaction. A copy that is not finished has the
revision `DRAFT`, which no version opens.
"""

from dataclasses import asdict, dataclass
from typing import Final, final

from sqlalchemy import Connection, MetaData, insert, select, text

from volens.consent import UnavailableError
from volens.store.schema import table_builder as col
from volens.store.schema.table_builder import build_table

MOVED: Final = "moved"
"""The revision of a database whose site was moved."""

DRAFT: Final = "draft"
"""The revision of a copy that is not finished."""

NAME: Final = "signpost"
QUERY: Final = "SELECT site_id, move_id, place FROM signpost"
_of_signposts: Final = MetaData()
_table: Final = build_table(
    NAME,
    col.integer("single", "= 1", primary_key=True),
    col.text("site_id"),
    col.text("move_id"),
    col.text("place"),
    rule=None,
    of=_of_signposts,
)


@final
@dataclass(frozen=True, slots=True)
class Signpost:
    """Where a site was moved to.

    Attributes:
        site_id: of the site.
        move_id: random; the move's entry in the log has it too.
        place: the new place, in words, without a password.
    """

    site_id: str
    move_id: str
    place: str


@final
class SiteMovedError(UnavailableError):
    """The site was moved away from these databases; nothing may serve from them again."""

    def __init__(self, post: Signpost) -> None:
        super().__init__(
            f"this site was moved to {post.place}; nothing serves from here any more. Run 'volens store copy' to that "
            "place, which switches this home"
        )
        self.post = post


def unknown_revision(name: str, revision: str, newest: str) -> UnavailableError:
    """Return why a database of a revision that this version does not know cannot be opened."""
    if revision == DRAFT:
        return UnavailableError(
            f"{name} is an unfinished copy of a site and serves nothing; run 'volens store copy' again, with the home "
            "of the site that is copied"
        )
    return UnavailableError(
        f"{name} was written by a newer Volens (schema {revision[:40]!r}, this one knows up to {newest!r}); upgrade "
        "Volens"
    )


def read_signpost(connection: Connection) -> Signpost:
    """Return the signpost of a database that has one."""
    row = connection.execute(select(_table.c.site_id, _table.c.move_id, _table.c.place)).one()
    return Signpost(row.site_id, row.move_id, row.place)


def put_signpost(connection: Connection, metadata: MetaData, post: Signpost) -> None:
    """Replace all tables of a database by a signpost, in the transaction of the connection."""
    metadata.drop_all(connection, checkfirst=False)
    _of_signposts.create_all(connection, checkfirst=False)
    connection.execute(insert(_table).values(single=1, **asdict(post)))
    set_revision(connection, MOVED)


def set_revision(connection: Connection, revision: str) -> None:
    """Set the revision of a database; only a copy has another one than a version made it with."""
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
