"""Erasure by order: who is meant, who stays, who must agree, and what stops it."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from house import MODEL, START, House, no_models

from tests.unit.erase.orders import FRENCH, Answerer, approval, ask, carry_out, operator, planned
from tests.unit.store.raw import DATA, peek, tamper
from volens import Site
from volens.audit import VerifierKey
from volens.consent import InputError, Purpose, ReceiptId, RefusedError, TamperError
from volens.consent import jws as consent_jws
from volens.erase import OperatorKey
from volens.erase.operator_key import APPROVAL_TYPE
from volens.erase.order import Plan, Selection, execution, read_plan, read_plan_file, verify_dossier
from volens.erase.order.plan import PLAN_TYPE, plan_file
from volens.erase.order.selection import select_live
from volens.store.people.consents import consent_ended


def plan_of(house: House, data: bytes) -> Plan:
    return read_plan(read_plan_file(data)[0], house.site.verifier_key)


def test_an_order_erases_whom_it_means_and_nobody_else(house: House) -> None:
    french, german = [house.admit(), house.admit()], house.admit(jurisdiction="DE")

    done = carry_out(house, planned(house))

    assert [house.sees(one) for one in french] == [False, False]
    assert house.sees(german)
    with house.store.read() as connection:
        ends = [consent_ended(connection, one.receipt_id) for one in french]
    assert {end[0].value for end in ends if end} == {"ordered"}
    dossier = verify_dossier(done.dossier, house.site.verifier_key)
    assert {one.receipt_sha256 for one in dossier.certificates} == {
        sha256(one.take_home.receipt.token.encode()).hexdigest() for one in french
    }
    assert dossier.counts["before"]["cohort"] == {
        "people": 2,
        "consents": 2,
        "references": 2,
        "zones": {"lobby": {"consents": 2, "references": 2}},
    }
    assert dossier.counts["after"]["outside"]["consents"] == 1
    house.site.log.verify()


def test_a_dry_run_counts_and_changes_nothing_but_the_log(house: House) -> None:
    people = [house.admit(), house.invite(jurisdiction="FR-BRE"), house.admit(jurisdiction="DE")]
    ask(house, people[0])
    before = house.site.status().zones

    plan = plan_of(house, planned(house))

    assert house.site.status().zones == before
    assert plan.counts == {
        "cohort": {"people": 2, "consents": 2, "references": 1, "zones": {"lobby": {"consents": 2, "references": 1}}},
        "outside": {"people": 1, "consents": 1, "references": 1, "zones": {"lobby": {"consents": 1, "references": 1}}},
        "damaged_receipts": 0,
        "open_requests": 1,
    }


def test_a_plan_names_nobody(house: House) -> None:
    person = house.admit()

    data = planned(house)

    token, _ = read_plan_file(data)
    payload = json.dumps(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))
    for secret in (person.receipt_id, person.subject_id, person.code, "Canary"):
        assert secret not in payload


NOON = START + timedelta(hours=1)
SELECTIONS: dict[str, tuple[Selection, set[str]]] = {
    "a zone": (Selection(zone=Purpose("lab")), {"old lab", "new lab"}),
    "a notice": (Selection(notice_version=2), {"new lobby"}),
    "a moment": (Selection(before=NOON), {"old lobby", "old lab", "old guest"}),
    "a model": (Selection(model=MODEL), {"old lobby", "new lobby", "old lab", "new lab"}),
    "a model without its hash": (Selection(model="made-up"), {"old lobby", "new lobby", "old lab", "new lab"}),
    "another model": (Selection(model="other"), set()),
    "a country with its parts": (FRENCH, {"old lobby", "new lobby", "old guest"}),
    "a part": (Selection(jurisdiction="FR-BRE"), {"new lobby"}),
    "all at once": (Selection("FR", Purpose("lobby"), 1, MODEL, NOON), {"old lobby"}),
}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, dict[str, ReceiptId]]]:
    """Old and new people of two zones, laws and notices; they are only counted."""
    house = House.build(tmp_path_factory.mktemp("crowd") / "home", zones=("lobby", "lab"))
    people = {"old lobby": house.admit(), "old lab": house.admit("lab", "DE"), "old guest": house.invite()}
    house.clock.move(hours=1)
    house.site.publish_notice("lobby", language="en", text=b"We compare your face at the door, and at the gate.\n")
    people |= {"new lobby": house.admit(jurisdiction="FR-BRE"), "new lab": house.admit("lab", "US-FR")}
    yield house, {name: person.receipt_id for name, person in people.items()}
    house.site.close()


@pytest.mark.parametrize("case", SELECTIONS)
def test_a_selection_means_those_to_whom_everything_named_applies(
    crowd: tuple[House, dict[str, ReceiptId]], case: str
) -> None:
    house, people = crowd
    selection, meant = SELECTIONS[case]
    with house.store.read() as connection:
        inside = {one.receipt_id for one in select_live(connection, selection) if one.inside}

    assert inside == {people[name] for name in meant}
    assert Selection.of(selection.document()) == selection


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({}, "got no selection; give at least one"),
        ({"jurisdiction": "fr"}, "expected an ISO 3166 code"),
        ({"zone": "Lobby!"}, "got zone name"),
        ({"notice_version": 0}, "got notice version 0; expected 1 or more"),
    ],
)
def test_a_selection_that_means_nobody_in_particular_is_refused(named: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Selection.declare(**named)  # type: ignore[arg-type]


def test_nobody_leaves_a_cohort_by_a_changed_row(house: House) -> None:
    """Bob's receipt is put in Ada's place: hers would be German then."""
    person, german = house.admit(), house.admit(jurisdiction="DE")
    house.site.close()
    tamper(
        house.site.home / DATA,
        "UPDATE receipt SET token = (SELECT token FROM receipt WHERE receipt_id = ?) WHERE receipt_id = ?",
        german.receipt_id,
        person.receipt_id,
    )
    house.reopen()

    data = planned(house)
    assert plan_of(house, data).counts["damaged_receipts"] == 1
    carry_out(house, data)

    assert not house.sees(person)
    assert house.sees(german)


def test_who_joined_since_the_plan_stops_it(house: House) -> None:
    first = house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    second = house.admit()

    with pytest.raises(RefusedError, match=r"the plan counted 1 consents, and those there now \(2\) are not the same"):
        carry_out(house, data)

    assert house.sees(first)
    assert house.sees(second)
    assert peek(house.site.home / DATA, "SELECT count(*) FROM cohort") == [(0,)]


def test_who_joins_at_the_last_moment_stops_it_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    seen = execution._seen

    def then_joined(*arguments: Any) -> Any:  # noqa: ANN401  as the original
        everybody = seen(*arguments)
        house.admit()
        return everybody

    monkeypatch.setattr(execution, "_seen", then_joined)

    with pytest.raises(RefusedError, match="the plan counted 1 consents, and those there now"):
        carry_out(house, data)


def test_who_left_since_the_plan_does_not_stop_it_and_is_in_the_dossier(house: House) -> None:
    leaver, other = house.admit(), house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    house.withdraw(leaver)
    house.clock.move(minutes=1)

    dossier = verify_dossier(carry_out(house, data).dossier, house.site.verifier_key)

    assert not house.sees(other)
    assert sorted(one.reason for one in dossier.certificates) == ["ordered", "withdrawn"]
    assert dossier.counts["before"]["cohort"]["consents"] == 1
    assert len(dossier.counts["before"]["left_since_plan"]) == 1


def test_one_who_left_and_one_who_joined_stop_it(house: House) -> None:
    leaver = house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    house.withdraw(leaver)
    house.admit()

    with pytest.raises(RefusedError, match="are not the same or fewer"):
        carry_out(house, data)


def test_a_plan_runs_out_after_a_week_but_what_was_begun_is_finished(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.admit()
    late, begun = planned(house), planned(house)
    monkeypatch.setattr("volens.erase.order.execution.erase_consents", _stopped)
    with pytest.raises(KeyboardInterrupt):
        carry_out(house, begun)
    monkeypatch.undo()
    house.clock.move(days=8)

    with pytest.raises(RefusedError, match=r"the plan was good until 2099-03-08T12:00:00Z; make a new one"):
        carry_out(house, late)
    carry_out(house, begun)


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_plan_of_another_site_or_with_a_changed_byte_is_refused(house: House, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    data = planned(other)
    other.site.close()
    with pytest.raises(TamperError, match="the signature does not match"):
        carry_out(house, data)

    token, _ = read_plan_file(planned(house))
    changed = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    with pytest.raises((TamperError, InputError)):
        carry_out(house, plan_file(changed, []))
    with pytest.raises(InputError, match="got a file that is no plan"):
        carry_out(house, planned(house).replace(b'"approvals"', b'"others"'))


def test_a_plan_that_is_under_way_cannot_be_exchanged_for_another(house: House) -> None:
    house.admit(jurisdiction="DE")
    data = planned(house)
    carry_out(house, data)
    token, _ = read_plan_file(data)
    wider = json.loads(consent_jws.peek(token, PLAN_TYPE)) | {"selection": {"zone": "lobby"}}
    signed = house.store.keyring.sign(rfc8785.dumps(wider), PLAN_TYPE)

    with pytest.raises(TamperError, match="another plan of the same id is under way"):
        carry_out(house, plan_file(signed, []), name="another")


def test_carrying_a_plan_out_twice_erases_once_and_gives_the_same_dossier(house: House) -> None:
    house.admit()
    data = planned(house)
    first = carry_out(house, data).dossier
    house.admit()  # joined afterwards: none of this plan's business
    size = house.site.status().log_size

    second = carry_out(house, data, name="again").dossier

    assert house.site.status().log_size == size
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert names == {path.relative_to(second) for path in second.rglob("*") if path.is_file()}
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_an_order_that_means_nobody_has_a_dossier_too(house: House) -> None:
    house.admit(jurisdiction="DE")

    dossier = verify_dossier(carry_out(house, planned(house)).dossier, house.site.verifier_key)

    assert dossier.certificates == []
    assert dossier.counts["before"]["cohort"]["people"] == 0


def test_a_dossier_is_never_written_over_something(house: House) -> None:
    data = planned(house)
    (house.site.home.parent / "dossier").mkdir()

    with pytest.raises(InputError, match="is already there; nothing was changed"):
        carry_out(house, data)


# Requests for access.


def test_open_requests_stop_an_order_where_nothing_answers_them(house: House) -> None:
    person = house.admit()
    ask(house, person)

    with pytest.raises(RefusedError, match="1 of those meant have open requests for access; answer them first"):
        carry_out(house, planned(house))

    assert house.sees(person)


def test_open_requests_are_answered_before_anything_is_erased(house: House) -> None:
    asker, other, german = house.admit(), house.admit(), house.admit(jurisdiction="DE")
    ask(house, asker)
    ask(house, german)
    answerer = Answerer(house)

    def answer(receipt_ids: list[str], folder: Path) -> int:
        assert house.sees(asker)
        return answerer(receipt_ids, folder)  # type: ignore[arg-type]

    done = carry_out(house, planned(house), answer_requests=answer)

    assert answerer.asked == [asker.receipt_id]
    assert (house.site.home.parent / "answers" / f"{asker.receipt_id}.json").exists()
    assert not house.sees(other)
    assert verify_dossier(done.dossier, house.site.verifier_key).counts["before"]["requests_answered"] == 1


def test_an_answer_that_does_not_answer_stops_the_order(house: House) -> None:
    person = house.admit()
    ask(house, person)

    with pytest.raises(RefusedError, match="1 requests for access came in meanwhile"):
        carry_out(house, planned(house), answer_requests=lambda _ids, _folder: 1)

    assert house.sees(person)


def test_answers_are_not_written_where_they_would_be_taken_for_what_was_left(house: House) -> None:
    ask(house, house.admit())

    with pytest.raises(InputError, match="got a folder for answers inside the home"):
        house.site.cohorts.execute(
            planned(house),
            [],
            house.site.home.parent / "dossier",
            answers=house.site.home / "answers",
            answer_requests=Answerer(house),
        )


# A second operator.


def test_with_two_operators_required_one_is_not_enough(house: House) -> None:
    person = house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    data = planned(house)
    by_anna, by_ben = approval(house, data, anna), approval(house, data, ben)

    for too_few in ([], [by_anna]):
        with pytest.raises(RefusedError, match=rf"got {len(too_few)} approvals; this site asks for 2"):
            carry_out(house, data, too_few)
    with pytest.raises(RefusedError, match="got two approvals by one operator"):
        carry_out(house, data, [by_anna, approval(house, data, anna)])
    assert house.sees(person)

    done = carry_out(house, data, [by_anna, by_ben])

    assert not house.sees(person)
    assert verify_dossier(done.dossier, house.site.verifier_key).approved_by == ["anna", "ben"]


def test_whoever_plans_with_a_key_has_approved(house: House) -> None:
    house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    _plan, data = house.site.cohorts.plan(FRENCH, anna)

    done = carry_out(house, data, [approval(house, data, ben)])

    assert [one["operator"] for one in done.cohort.facts["before"]["approved_by"]] == ["anna", "ben"]
    with pytest.raises(RefusedError, match="got the key of nobody who may approve"):
        house.site.cohorts.plan(FRENCH, OperatorKey.from_seed(bytes(32)))


def test_an_approval_by_a_stranger_of_another_plan_or_out_of_time_is_refused(house: House) -> None:
    house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    data, other = planned(house), planned(house)
    by_anna = approval(house, data, anna)

    with pytest.raises(RefusedError, match="is not by an operator of this site"):
        carry_out(house, data, [by_anna, approval(house, data, OperatorKey.from_seed(bytes(32)))])
    with pytest.raises(RefusedError, match="got an approval of another plan"):
        carry_out(house, data, [by_anna, approval(house, other, ben)])
    house.clock.move(seconds=-1)
    early = approval(house, data, ben)
    house.clock.move(seconds=1)
    with pytest.raises(RefusedError, match="from before the plan was made"):
        carry_out(house, data, [by_anna, early])


def test_an_approval_in_anothers_name_is_refused(house: House) -> None:
    """Anna writes Ben's key into an approval, and signs it with her own."""
    person = house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    data = planned(house)
    said = json.loads(consent_jws.peek(approval(house, data, ben), APPROVAL_TYPE))

    forged = anna.sign(rfc8785.dumps(said), APPROVAL_TYPE)

    with pytest.raises(RefusedError, match="is not by an operator of this site"):
        carry_out(house, data, [approval(house, data, anna), forged])
    assert house.sees(person)


def test_an_operator_who_was_removed_may_not_approve(house: House) -> None:
    house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    operator(house, "carl")
    house.site.cohorts.require_operators(2)
    data = planned(house)
    approvals = [approval(house, data, anna), approval(house, data, ben)]

    house.site.cohorts.remove_operator("ben", [anna, ben])

    with pytest.raises(RefusedError, match="is not by an operator of this site"):
        carry_out(house, data, approvals)


def test_what_weakens_the_rule_needs_the_rule(house: House) -> None:
    cohorts = house.site.cohorts
    with pytest.raises(RefusedError, match="there are 0 operators, and 2 cannot agree"):
        cohorts.require_operators(2)
    anna, ben = operator(house, "anna"), operator(house, "ben")
    cohorts.require_operators(2)
    puppet = OperatorKey.from_seed(bytes(32))
    order = cohorts.stop_collecting("FR", None).order_id

    for keys in ([], [anna], [anna, anna], [anna, puppet], [anna, ben, puppet]):
        with pytest.raises(RefusedError, match="this site asks for 2, for such a change too"):
            cohorts.require_operators(1, keys)
        with pytest.raises(RefusedError, match="for such a change too"):
            cohorts.add_operator("puppet", puppet.public_key, keys)
        with pytest.raises(RefusedError, match="for such a change too"):
            cohorts.remove_operator("ben", keys)
        with pytest.raises(RefusedError, match="for such a change too"):
            cohorts.lift_stop(order, keys)
    with pytest.raises(RefusedError, match="the site asks for 2 operators and has 2; add another first"):
        cohorts.remove_operator("ben", [anna, ben])
    assert cohorts.operators_required() == 2

    cohorts.lift_stop(order, [anna, ben])
    cohorts.require_operators(1, [anna, ben])

    assert cohorts.operators_required() == 1
    kinds = house.site.log.verify().kinds
    assert (kinds["operator.added"], kinds["operator.required"], kinds["collecting.resumed"]) == (2, 2, 1)
    (details,) = peek(house.site.home / DATA, "SELECT details FROM audit_opening WHERE details LIKE '%\"required\":1%'")
    assert "anna, ben" in details[0]


def test_a_label_or_a_key_is_never_given_to_another(house: House) -> None:
    anna = operator(house, "anna")
    house.site.cohorts.remove_operator("anna")

    with pytest.raises(RefusedError, match="an operator of this label or key was added before"):
        house.site.cohorts.add_operator("anna", bytes(32))
    with pytest.raises(RefusedError, match="an operator of this label or key was added before"):
        house.site.cohorts.add_operator("anna again", anna.public_key)


def test_an_operators_key_opens_with_its_passphrase_only() -> None:
    key = OperatorKey.from_seed(bytes(32))
    data = key.to_pem(b"correct horse")

    assert OperatorKey.from_pem(data, b"correct horse").public_key == key.public_key
    for wrong in (None, b"wrong horse"):
        with pytest.raises(InputError, match="got an operator key that does not open"):
            OperatorKey.from_pem(data, wrong)
    assert repr(key) == "OperatorKey(...)"


# Orders to stop collecting.


def test_a_standing_order_refuses_consent_and_enrollment_until_it_is_lifted(house: House) -> None:
    invited = house.invite(jurisdiction="FR-BRE")
    stop = house.site.cohorts.stop_collecting("FR", None)
    before = house.site.status()

    with pytest.raises(RefusedError, match=f"collecting is stopped by order {stop.order_id}"):
        house.invite()
    with pytest.raises(RefusedError, match="collecting is stopped"):
        house.enroll(invited)
    with pytest.raises(RefusedError, match="collecting is stopped"):
        house.site.enroll(invited.take_home.to_json(), [])  # models are not even loaded
    assert house.site.status().zones == before.zones
    house.admit(jurisdiction="DE")
    house.admit(jurisdiction="FI")

    house.reopen()
    house.site.cohorts.lift_stop(stop.order_id)

    house.enroll(invited)
    house.admit()


def test_an_order_for_a_zone_of_one_jurisdiction_is_for_both_together(tmp_path: Path) -> None:
    house = House.build(tmp_path / "home", zones=("lobby", "lab"))
    house.site.cohorts.stop_collecting("FR", "lab")

    house.admit("lobby", "FR")
    house.admit("lab", "DE")
    with pytest.raises(RefusedError, match="collecting is stopped"):
        house.invite("lab", jurisdiction="FR")
    house.site.close()


def test_orders_that_mean_nobody_or_stand_already_are_refused(house: House) -> None:
    cohorts = house.site.cohorts
    with pytest.raises(InputError, match="got neither a jurisdiction nor a zone"):
        cohorts.stop_collecting(None, None)
    with pytest.raises(InputError, match="there is no zone 'cellar'"):
        cohorts.stop_collecting(None, "cellar")
    cohorts.stop_collecting("FR", None)
    with pytest.raises(RefusedError, match="this order stands already"):
        cohorts.stop_collecting("FR", None)
    with pytest.raises(InputError, match="there is no such order standing"):
        cohorts.lift_stop("0" * 32)


def test_the_dossier_names_the_orders_that_keep_the_cohort_empty(house: House) -> None:
    house.admit()
    meant = house.site.cohorts.stop_collecting("FR", None)
    house.site.cohorts.stop_collecting("FR", "lobby")  # narrower than the cohort
    house.site.cohorts.stop_collecting("DE", None)

    dossier = verify_dossier(carry_out(house, planned(house)).dossier, house.site.verifier_key)

    assert [one["order_id"] for one in dossier.counts["after"]["collecting_stopped_by"]] == [meant.order_id]


def test_nobody_is_enrolled_who_is_being_erased_by_order(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    person = house.invite()
    data = planned(house)
    monkeypatch.setattr("volens.erase.order.execution.erase_consents", _stopped)
    with pytest.raises(KeyboardInterrupt):
        carry_out(house, data)
    monkeypatch.undo()

    with pytest.raises(RefusedError):
        house.enroll(person)

    assert [one.finished_at is not None for one in house.site.cohorts.resume()] == [True]
    verify_dossier(carry_out(house, data).dossier, house.site.verifier_key)


def test_a_plan_from_a_site_opened_elsewhere_is_the_same_plan(house: House) -> None:
    house.admit()
    data = planned(house)
    house.clock.move(days=6, hours=23)

    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock) as site:  # type: ignore[arg-type]
        folder = house.site.home.parent
        done = site.cohorts.execute(data, [], folder / "dossier", answers=folder / "answers")

    assert done.cohort.finished_at == house.clock()
    verify_dossier(done.dossier, VerifierKey.parse((house.site.home / "site.pub").read_text().strip()))
