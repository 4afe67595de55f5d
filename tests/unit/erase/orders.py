"""Orders in tests: operators with keys, a plan carried out, a request for access."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from house import House, Person
from sqlalchemy import insert, update

from volens.consent import ReceiptId
from volens.erase import OperatorKey, approve
from volens.erase.order import PLAN, AnswerRequests, CohortErased, Selection, read_plan
from volens.store.schema import data_tables as tables

FRENCH = Selection(jurisdiction="FR")


def operator(house: House, label: str) -> OperatorKey:
    """Add an operator."""
    key = OperatorKey.from_seed(house.bits.randbytes(32))
    house.site.cohorts.add_operator(label, key.public_key)
    return key


def desk_alone(house: House) -> House:
    """Let the operator at the desk carry out orders alone."""
    house.site.cohorts.require_operators(1)
    return house


def approval(house: House, plan: bytes, key: OperatorKey) -> str:
    token, _ = PLAN.from_file(plan)
    return approve(key, token, read_plan(token, house.site.verifier_key).cohort_id, house.clock())


def planned(house: House, selection: Selection = FRENCH) -> bytes:
    return house.site.cohorts.plan(selection)[1]


def carry_out(
    house: House,
    plan: bytes,
    approvals: Sequence[str] = (),
    name: str = "dossier",
    answer_requests: AnswerRequests | None = None,
) -> CohortErased:
    folder = house.site.home.parent
    return house.site.cohorts.execute(
        plan, approvals, folder / name, answers=folder / "answers", answer_requests=answer_requests
    )


def ask(house: House, person: Person) -> str:
    """Open an access request of a person, without the desk."""
    request_id = house.bits.randbytes(16).hex()
    with house.store.write() as tx:
        tx.connection.execute(
            insert(tables.access_request).values(
                request_id=request_id,
                kind="access",
                receipt_id=person.receipt_id,
                received_at=tx.now,
                due_at=tx.now,
            )
        )
    return request_id


@dataclass
class Answerer:
    """Answers access requests as the site's desk does: a file for each, marked answered."""

    house: House
    asked: list[ReceiptId] = field(default_factory=list)

    def __call__(self, receipt_ids: Sequence[ReceiptId], folder: Path) -> int:
        folder.mkdir()
        request = tables.access_request
        for receipt_id in receipt_ids:
            (folder / f"{receipt_id}.json").write_text('{"held": "a reference"}')
            with self.house.store.write() as tx:
                tx.connection.execute(
                    update(request)
                    .where(request.c.receipt_id == receipt_id, request.c.answered_at.is_(None))
                    .values(answered_at=tx.now, outcome="answered")
                )
            self.asked.append(receipt_id)
        return len(receipt_ids)
