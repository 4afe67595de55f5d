"""Which papers a site has made (`volens.rights.papers`): the newest of each kind, with the hash of what it states."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, insert, update

from volens.consent import Purpose
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_KEY: Final = ("purpose", "kind", "jurisdiction", "language")


@final
@dataclass(frozen=True, slots=True)
class MadePaper:
    """The newest paper of one kind for one zone, jurisdiction and language.

    Attributes:
        record_sha256: of the processing record that it states, 64 hexadecimal digits.
    """

    purpose: Purpose
    kind: str
    jurisdiction: str
    language: str
    record_sha256: str
    made_at: datetime


def made_papers(connection: Connection) -> list[MadePaper]:
    """Return the newest paper of each kind, by zone, kind, jurisdiction and language.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rows = seals_of(connection).site(connection).records(tables.made_paper)
    return [MadePaper(**row) for row in sorted(rows, key=lambda row: [row[name] for name in _KEY])]


def note_paper(tx: Transaction, paper: MadePaper) -> None:
    """Note that a paper was made; it takes the place of the older one of the same kind.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    its = tables.made_paper.c
    key = {name: getattr(paper, name) for name in _KEY}
    news = {"record_sha256": paper.record_sha256, "made_at": paper.made_at}
    known = {tuple(getattr(one, name) for name in _KEY) for one in made_papers(tx.connection)}
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        if tuple(key.values()) in known:
            same = [its[name] == value for name, value in key.items()]
            tx.connection.execute(update(tables.made_paper).where(*same).values(news))
        else:
            tx.connection.execute(insert(tables.made_paper), [key | news])
        details = {"zone": paper.purpose, "paper": paper.kind, "language": paper.language}
        tx.log("paper.made", details | {"jurisdiction": paper.jurisdiction, "record_sha256": paper.record_sha256})
