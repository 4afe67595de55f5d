"""Calibration of a zone: counts are sealed under each consent and end with it; thresholds follow the measured ones."""

import io
import json
import zipfile

import pytest
from house import House, Person

from tests.unit.store.raw import DATA, peek, tamper
from volens.consent import Purpose, RefusedError, SubjectKey, TamperError, UnknownError
from volens.consent.zone import FpirTarget
from volens.erase.proof import verify_certificate
from volens.face.embedder import SFACE_MODEL
from volens.identify.calibration import LEAST_PEOPLE, Calibration
from volens.identify.recognition import Recognizer
from volens.rights import answer_access

FEW = 4
CURVE = SFACE_MODEL.thresholds.curves[FpirTarget.ORDINARY]


@pytest.fixture
def few(house: House) -> House:
    house.model_id = SFACE_MODEL.model_id
    house.populate(FEW, lambda _: 0.3)
    return house


def measured(house: House) -> Calibration:
    return house.site.zones.calibrate("lobby")


def rows(house: House) -> int:
    ((count,),) = peek(house.site.home / DATA, "SELECT count(*) FROM score_counts")
    return int(count)


def test_counts_end_with_the_consent_and_are_named_in_certificate_and_access_answer(few: House) -> None:
    person = few.people[0]
    with zipfile.ZipFile(io.BytesIO(answer_access(few.store, [person.receipt_id]).data)) as answer:
        record = json.loads(answer.read("consent-1/record.jsonld"))
    assert record["volens:held"]["score_counts"] == [
        {"model_id": SFACE_MODEL.model_id, "own": {"0.75": 1, "0.78": 1, "0.80": 1}, "others": {}}
    ]

    erased = few.withdraw(person)

    assert rows(few) == FEW - 1
    statement = verify_certificate(erased.certificate_path.read_bytes(), few.site.verifier_key).statement
    assert statement["destroyed"]["score counts"] == 1


def test_counts_of_a_paused_consent_are_left_out_until_it_goes_on(few: House) -> None:
    person = few.people[-1]
    before = measured(few).people
    few.site.changes.restrict(person.receipt_id)
    assert measured(few).people == before - 1
    few.site.changes.lift_restriction(person.receipt_id)
    assert measured(few).people == before


def test_a_renewed_consent_keeps_its_counts_under_its_new_key(few: House) -> None:
    before, key = measured(few), SubjectKey.from_seed(bytes(32))
    take_home = few.site.give_consent(few.site.notice("lobby"), name="Ada", jurisdiction="FR", key=key, valid_days=9)
    few.count_scores(few.enroll(Person(take_home, few.face())), own=[0.2], others=[0.9])
    counted = measured(few)
    assert (counted.people, counted.now.fnir.with_errors) == (before.people + 1, before.now.fnir.with_errors + 1)

    few.site.changes.renew(take_home.receipt.claims.receipt_id, few.site.notice("lobby"), key=key)

    assert measured(few).now == counted.now
    assert rows(few) == FEW + 1


def test_counts_of_another_person_do_not_open(few: House) -> None:
    swap = "UPDATE score_counts SET sealed_counts = (SELECT max(sealed_counts) FROM score_counts)"
    tamper(few.site.home / DATA, swap)
    with pytest.raises(TamperError):
        measured(few)


def test_few_people_keep_the_thresholds_of_the_model(few: House) -> None:
    found = measured(few)
    assert (found.enough, found.exceeds, found.people) == (False, False, FEW - 1)
    with pytest.raises(RefusedError, match="people measured: 3, too few to calibrate a zone"):
        few.site.zones.apply_calibration(found)


def test_a_zone_without_counts_or_without_a_gallery_is_refused_in_one_sentence(house: House) -> None:
    house.model_id = SFACE_MODEL.model_id
    house.admit()
    with pytest.raises(UnknownError, match="no counted scores of at least two people \\(1 enrolled"):
        measured(house)
    house.declare("gate", custody="badge")
    with pytest.raises(RefusedError, match="custody 'badge': each person is compared with their own"):
        house.site.zones.calibrate("gate")
    with pytest.raises(UnknownError, match="there is no zone 'attic'"):
        house.site.zones.calibrate("attic")


def test_a_higher_threshold_counts_at_once_and_a_lower_one_needs_the_operator(alike: House) -> None:
    zones, found = alike.site.zones, measured(alike)
    assert found.exceeds, "ten look-alikes of 51 people are more than 0.1 % of strangers"
    assert found.now.threshold == found.model_threshold == pytest.approx(CURVE.at(LEAST_PEOPLE + 1))
    assert found.measured is not None
    assert found.measured.threshold > 0.62

    shift = zones.apply_calibration(found)

    applied = measured(alike)
    assert applied.now.threshold == pytest.approx(found.measured.threshold, abs=0.001)
    assert not applied.exceeds
    with alike.store.read() as connection:
        gallery = alike.galleries.of(connection, Purpose("lobby"), SFACE_MODEL.model_id, 128)
    assert gallery.threshold_shift == shift
    assert alike.site.log.verify().kinds["zone.calibrated"] == 1
    # Again: nothing to change.
    zones.apply_calibration(applied)
    assert alike.site.log.verify().kinds["zone.calibrated"] == 1

    with pytest.raises(RefusedError, match=r"its threshold would fall by 0\.\d+; pass --lower"):
        zones.end_calibration("lobby")
    zones.end_calibration("lobby", lower=True)

    assert measured(alike).shift == 0
    assert alike.site.log.verify().kinds["zone.calibrated"] == 2


def test_the_door_decides_at_the_shifted_threshold(alike: House) -> None:
    class Models:
        model = SFACE_MODEL

    recognizer = Recognizer(alike.site.installation, Models)  # type: ignore[arg-type]
    zone = recognizer.searchable_zone(Purpose("lobby"))
    before = recognizer.threshold_in(zone)
    shift = alike.site.zones.apply_calibration(measured(alike))
    assert recognizer.threshold_in(zone) == pytest.approx(CURVE.at(LEAST_PEOPLE + 1) + shift)
    assert recognizer.threshold_in(zone) > before + 0.1


def test_another_rate_is_measured_and_not_applied(alike: House) -> None:
    found = alike.site.zones.calibrate("lobby", wanted=0.01)
    assert found.measured is not None
    with pytest.raises(RefusedError, match="no measured threshold for the rate that zone 'lobby' aims at"):
        alike.site.zones.apply_calibration(found)


def test_a_calibration_that_was_changed_in_the_file_is_noticed(alike: House) -> None:
    alike.site.zones.apply_calibration(measured(alike))
    tamper(alike.site.home / DATA, "UPDATE zone_calibration SET shift_thousandths = -200")
    alike.reopen()
    with pytest.raises(TamperError, match="integrity"):
        measured(alike)


def test_an_alarm_opens_the_counts_of_some_people_only(alike: House) -> None:
    first = alike.site.zones.calibrate("lobby", at_most=20)
    assert 18 <= first.people <= 20
    assert first.now == alike.site.zones.calibrate("lobby", at_most=20).now
