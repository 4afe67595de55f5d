"""Erasure by order: who is selected, who stays, who must approve, and what stops it."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from house import MODEL, START, House, no_models
from interruptions import before_consents_end, interrupt

from tests.unit.erase.orders import FRENCH, Answerer, approval, ask, carry_out, desk_alone, operator, planned
from tests.unit.store.raw import DATA, peek, tamper
from volens import Site
from volens.audit import VerifierKey
from volens.consent import InputError, Purpose, ReceiptId, RefusedError, TamperError
from volens.erase import APPROVAL, OperatorKey
from volens.erase.order import PLAN, Plan, Selection, execution, read_plan, select_live, verify_dossier
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import consent_ended


@pytest.fixture(autouse=True)
def _desk_alone(house: House) -> None:
    desk_alone(house)


def plan_of(house: House, data: bytes) -> Plan:
    return read_plan(PLAN.from_file(data)[0], house.site.verifier_key)


def test_an_order_erases_the_selected_people_only(house: House) -> None:
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


def test_a_plan_contains_no_personal_data(house: House) -> None:
    person = house.admit()

    data = planned(house)

    token, _ = PLAN.from_file(data)
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
    """Old and new people of two zones, jurisdictions and notices; they are only counted."""
    house = House.build(tmp_path_factory.mktemp("crowd") / "home", zones=("lobby", "lab"))
    people = {"old lobby": house.admit(), "old lab": house.admit("lab", "DE"), "old guest": house.invite()}
    house.clock.move(hours=1)
    publish_sample_notice(house.site, "lobby", more="We compare your face at the door, and at the gate.")
    people |= {"new lobby": house.admit(jurisdiction="FR-BRE"), "new lab": house.admit("lab", "DE-FR")}
    yield house, {name: person.receipt_id for name, person in people.items()}
    house.site.close()


@pytest.mark.parametrize("case", SELECTIONS)
def test_a_selection_contains_the_people_to_whom_all_criteria_apply(
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
        ({"jurisdiction": "France"}, "expected an ISO 3166 code"),
        ({"zone": "Lobby!"}, "got zone name"),
        ({"notice_version": 0}, "got notice version 0; expected 1 or more"),
    ],
)
def test_an_invalid_selection_is_refused(named: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Selection.declare(**named)  # type: ignore[arg-type]


def test_a_changed_row_removes_no_person_from_a_cohort(house: House) -> None:
    """Bob's receipt is put in Ada's place, so hers would be German."""
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


def test_a_person_who_joined_since_the_plan_stops_it(house: House) -> None:
    first = house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    second = house.admit()

    with pytest.raises(
        RefusedError, match=r"the plan counted 1 consents, and those in force now \(2\) do not match it"
    ):
        carry_out(house, data)

    assert house.sees(first)
    assert house.sees(second)
    assert peek(house.site.home / DATA, "SELECT count(*) FROM cohort") == [(0,)]


def test_a_person_who_joins_at_the_last_moment_stops_it_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    calls: list[None] = []

    def then_joined(*arguments: Any) -> Any:  # noqa: ANN401  as the original
        selected = select_live(*arguments)
        calls.append(None)
        if len(calls) == 2:  # the first looks for open requests, the second is checked again under the write lock
            house.admit()
        return selected

    monkeypatch.setattr(execution, "select_live", then_joined)

    with pytest.raises(RefusedError, match="the plan counted 1 consents, and those in force now"):
        carry_out(house, data)


def test_a_person_who_left_since_the_plan_is_in_the_dossier_and_does_not_stop_it(house: House) -> None:
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


def test_one_person_leaving_and_one_joining_stop_it(house: House) -> None:
    leaver = house.admit()
    data = planned(house)
    house.clock.move(minutes=1)
    house.withdraw(leaver)
    house.admit()

    with pytest.raises(RefusedError, match="do not match it"):
        carry_out(house, data)


def test_a_plan_expires_after_a_week_but_an_order_in_progress_is_finished(house: House) -> None:
    house.admit()
    late, begun = planned(house), planned(house)
    with before_consents_end(interrupt), pytest.raises(KeyboardInterrupt):
        carry_out(house, begun)
    house.clock.move(days=8)

    with pytest.raises(RefusedError, match=r"the plan expired at 2099-03-08T12:00:00Z; make a new one"):
        carry_out(house, late)
    carry_out(house, begun)


def test_a_plan_of_another_site_or_with_a_changed_byte_is_refused(house: House, tmp_path: Path) -> None:
    other = House.build(tmp_path / "other", seed=9)
    data = planned(other)
    other.site.close()
    with pytest.raises(TamperError, match="this plan is of another site than the public key"):
        carry_out(house, data)

    token, _ = PLAN.from_file(planned(house))
    changed = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    with pytest.raises((TamperError, InputError)):
        carry_out(house, PLAN.to_file(changed, []))
    with pytest.raises(InputError, match="this is not a plan"):
        carry_out(house, planned(house).replace(b'"approvals"', b'"others"'))


def test_a_plan_in_progress_cannot_be_exchanged_for_another(house: House) -> None:
    house.admit(jurisdiction="DE")
    data = planned(house)
    carry_out(house, data)
    token, _ = PLAN.from_file(data)
    wider = PLAN.peek_json(token) | {"selection": {"zone": "lobby"}}
    signed = PLAN.sign(house.store.keyring, wider)

    with pytest.raises(TamperError, match="another plan of the same id is in progress"):
        carry_out(house, PLAN.to_file(signed, []), name="another")


def test_carrying_a_plan_out_twice_erases_once_and_gives_the_same_dossier(house: House) -> None:
    house.admit()
    data = planned(house)
    first = carry_out(house, data).dossier
    house.admit()  # joined afterwards, so not part of this plan
    size = house.site.status().log_size

    second = carry_out(house, data, name="again").dossier

    assert house.site.status().log_size == size
    names = {path.relative_to(first) for path in first.rglob("*") if path.is_file()}
    assert names == {path.relative_to(second) for path in second.rglob("*") if path.is_file()}
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_an_order_that_selects_no_person_has_a_dossier_too(house: House) -> None:
    house.admit(jurisdiction="DE")

    dossier = verify_dossier(carry_out(house, planned(house)).dossier, house.site.verifier_key)

    assert dossier.certificates == []
    assert dossier.counts["before"]["cohort"]["people"] == 0


def test_a_dossier_never_overwrites_files(house: House) -> None:
    data = planned(house)
    (house.site.home.parent / "dossier").mkdir()

    with pytest.raises(InputError, match="is already there; nothing was changed"):
        carry_out(house, data)


# Requests for access.


def test_open_requests_stop_an_order_that_cannot_answer_them(house: House) -> None:
    person = house.admit()
    ask(house, person)

    with pytest.raises(RefusedError, match="1 of the people selected have open access requests; answer them first"):
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


def test_a_request_that_stays_open_stops_the_order(house: House) -> None:
    person = house.admit()
    ask(house, person)

    with pytest.raises(RefusedError, match="1 access requests were opened meanwhile"):
        carry_out(house, planned(house), answer_requests=lambda _ids, _folder: 1)

    assert house.sees(person)


def test_answers_are_not_written_into_the_home_where_the_search_would_find_them(house: House) -> None:
    ask(house, house.admit())

    with pytest.raises(InputError, match="this folder for answers is inside the home"):
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
        with pytest.raises(RefusedError, match=rf"got {len(too_few)} approvals; this site requires 2"):
            carry_out(house, data, too_few)
    with pytest.raises(RefusedError, match="got two approvals by one operator"):
        carry_out(house, data, [by_anna, approval(house, data, anna)])
    assert house.sees(person)

    done = carry_out(house, data, [by_anna, by_ben])

    assert not house.sees(person)
    assert verify_dossier(done.dossier, house.site.verifier_key).approved_by == ["anna", "ben"]


def test_a_plan_made_with_an_operator_key_is_approved_by_it(house: House) -> None:
    house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    _plan, data = house.site.cohorts.plan(FRENCH, anna)

    done = carry_out(house, data, [approval(house, data, ben)])

    assert [one["operator"] for one in done.cohort.facts["before"]["approved_by"]] == ["anna", "ben"]
    with pytest.raises(RefusedError, match="this key does not belong to an operator who may approve"):
        house.site.cohorts.plan(FRENCH, OperatorKey.from_seed(bytes(32)))


def test_an_unknown_foreign_or_outdated_approval_is_refused(house: House) -> None:
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


def test_an_approval_in_the_name_of_another_operator_is_refused(house: House) -> None:
    """Anna writes Ben's key into an approval, and signs it with her own."""
    person = house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    house.site.cohorts.require_operators(2)
    data = planned(house)
    said = APPROVAL.peek_json(approval(house, data, ben))

    forged = APPROVAL.sign(anna, said)

    with pytest.raises(RefusedError, match="is not by an operator of this site"):
        carry_out(house, data, [approval(house, data, anna), forged])
    assert house.sees(person)


def test_a_removed_operator_cannot_approve(house: House) -> None:
    house.admit()
    anna, ben = operator(house, "anna"), operator(house, "ben")
    operator(house, "carl")
    house.site.cohorts.require_operators(2)
    data = planned(house)
    approvals = [approval(house, data, anna), approval(house, data, ben)]

    house.site.cohorts.remove_operator("ben", [anna, ben])

    with pytest.raises(RefusedError, match="is not by an operator of this site"):
        carry_out(house, data, approvals)


def test_a_change_that_weakens_the_rule_needs_the_required_approvals(house: House) -> None:
    cohorts = house.site.cohorts
    with pytest.raises(RefusedError, match="there are 0 operators, and 2 would be required"):
        cohorts.require_operators(2)
    anna, ben = operator(house, "anna"), operator(house, "ben")
    cohorts.require_operators(2)
    puppet = OperatorKey.from_seed(bytes(32))
    order = cohorts.stop_collecting("FR", None).order_id

    for keys in ([], [anna], [anna, anna], [anna, puppet], [anna, ben, puppet]):
        with pytest.raises(RefusedError, match="this site requires 2, for this change too"):
            cohorts.require_operators(1, keys)
        with pytest.raises(RefusedError, match="for this change too"):
            cohorts.add_operator("puppet", puppet.public_key, keys)
        with pytest.raises(RefusedError, match="for this change too"):
            cohorts.remove_operator("ben", keys)
        with pytest.raises(RefusedError, match="for this change too"):
            cohorts.lift_stop(order, keys)
    with pytest.raises(RefusedError, match="the site requires 2 operators and has 2; add another first"):
        cohorts.remove_operator("ben", [anna, ben])
    assert cohorts.operators_required() == 2

    cohorts.lift_stop(order, [anna, ben])
    cohorts.require_operators(1, [anna, ben])

    assert cohorts.operators_required() == 1
    kinds = house.site.log.verify().kinds
    assert (kinds["operator.added"], kinds["operator.required"], kinds["collecting.resumed"]) == (2, 3, 1)
    said = peek(house.site.home / DATA, "SELECT details FROM audit_opening WHERE details LIKE '%\"required\":1%'")
    assert ["anna, ben" in details for (details,) in said] == [False, True]


def test_a_label_or_key_is_never_reassigned(house: House) -> None:
    anna = operator(house, "anna")
    house.site.cohorts.remove_operator("anna")

    with pytest.raises(RefusedError, match="an operator of this label or key was added before"):
        house.site.cohorts.add_operator("anna", bytes(32))
    with pytest.raises(RefusedError, match="an operator of this label or key was added before"):
        house.site.cohorts.add_operator("anna again", anna.public_key)
    with pytest.raises(RefusedError, match="an operator of this label or key was added before"):
        house.site.cohorts.add_operator(" ANNA", bytes(32))


def test_an_operator_is_removed_by_another_spelling_of_the_label(house: House) -> None:
    operator(house, "Jose\N{COMBINING ACUTE ACCENT}-Ana")
    house.site.cohorts.remove_operator("JOS\N{LATIN CAPITAL LETTER E WITH ACUTE}\N{EN DASH}ana")
    assert house.site.cohorts.operators() == []


def test_an_operator_key_opens_only_with_its_passphrase() -> None:
    key = OperatorKey.from_seed(bytes(32))
    data = key.to_pem(b"correct horse")

    assert OperatorKey.from_pem(data, b"correct horse").public_key == key.public_key
    for wrong in (None, b"wrong horse"):
        with pytest.raises(InputError, match="got an operator key that does not open"):
            OperatorKey.from_pem(data, wrong)
    assert repr(key) == "OperatorKey(...)"


# Orders to stop collecting.


def test_an_order_to_stop_refuses_consent_and_enrollment_until_it_is_lifted(house: House) -> None:
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


def test_an_order_for_a_zone_and_a_jurisdiction_applies_where_both_do(house: House) -> None:
    house.declare("lab")
    house.site.cohorts.stop_collecting("FR", "lab")

    house.admit("lobby", "FR")
    house.admit("lab", "DE")
    with pytest.raises(RefusedError, match="collecting is stopped"):
        house.invite("lab", jurisdiction="FR")


def test_empty_and_repeated_orders_to_stop_are_refused(house: House) -> None:
    cohorts = house.site.cohorts
    with pytest.raises(InputError, match="got neither a jurisdiction nor a zone"):
        cohorts.stop_collecting(None, None)
    with pytest.raises(InputError, match="there is no zone 'cellar'"):
        cohorts.stop_collecting(None, "cellar")
    cohorts.stop_collecting("FR", None)
    with pytest.raises(RefusedError, match="this order is in force already"):
        cohorts.stop_collecting("FR", None)
    with pytest.raises(InputError, match="no order of this id is in force"):
        cohorts.lift_stop("0" * 32)


def test_the_dossier_lists_the_orders_that_keep_the_cohort_empty(house: House) -> None:
    house.admit()
    meant = house.site.cohorts.stop_collecting("FR", None)
    house.site.cohorts.stop_collecting("FR", "lobby")  # narrower than the cohort
    house.site.cohorts.stop_collecting("DE", None)

    dossier = verify_dossier(carry_out(house, planned(house)).dossier, house.site.verifier_key)

    assert [one["order_id"] for one in dossier.counts["after"]["collecting_stopped_by"]] == [meant.order_id]


def test_a_person_being_erased_by_order_cannot_be_enrolled(house: House) -> None:
    person = house.invite()
    data = planned(house)
    with before_consents_end(interrupt), pytest.raises(KeyboardInterrupt):
        carry_out(house, data)

    with pytest.raises(RefusedError):
        house.enroll(person)

    assert [one.finished_at is not None for one in house.site.cohorts.resume()] == [True]
    verify_dossier(carry_out(house, data).dossier, house.site.verifier_key)


def test_a_plan_is_valid_in_another_process_of_the_site(house: House) -> None:
    house.admit()
    data = planned(house)
    house.clock.move(days=6, hours=23)

    with Site.open(house.site.home, load_extractor=no_models, clock=house.clock) as site:  # type: ignore[arg-type]
        folder = house.site.home.parent
        done = site.cohorts.execute(data, [], folder / "dossier", answers=folder / "answers")

    assert done.cohort.finished_at == house.clock()
    verify_dossier(done.dossier, VerifierKey.parse((house.site.home / "site.pub").read_text().strip()))
