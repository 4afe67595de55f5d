"""What may change of a zone: its title, a pause, its removal; sealed, logged, and followed by every process."""

import pytest
from house import House
from reading_log import kinds, opened

from tests.unit.store.raw import DATA, tamper
from volens.consent import (
    EndReason,
    InputError,
    NoLiveConsentError,
    RefusedError,
    TamperError,
    UnavailableError,
    UnknownError,
)
from volens.consent.errors import ZonePausedError
from volens.consent.notice import PASSING_SENTENCES
from volens.consent.zone import FpirTarget, LivenessLevel, ZoneState
from volens.erase.proof import verify_certificate
from volens.index import Galleries
from volens.rights import held_under
from volens.rights.stale_papers import PaperProblem, stale_papers
from volens.service.sample_notice import publish_sample_notice


def test_a_zone_has_a_title_that_can_change_and_a_name_that_cannot(house: House) -> None:
    assert house.site.zones.get("lobby").label == "lobby"
    for title in ("Lobby East", "Lobby West", ""):
        assert house.site.zones.rename("lobby", f" {title} ").title == title
    house.site.zones.rename("lobby", "Entrée  Süd")
    house.reopen()
    zone = house.site.zones.get("lobby")
    assert (zone.purpose, zone.title, zone.label) == ("lobby", "Entrée Süd", "Entrée Süd (lobby)")
    assert opened(house.store, "zone.renamed")[-1] == {"zone": "lobby", "title": "Entrée Süd"}
    assert house.site.log.verify().kinds["zone.renamed"] == 4
    with pytest.raises(RefusedError, match="has this title already"):
        house.site.zones.rename("lobby", "Entrée Süd")


def test_a_title_can_be_given_when_a_zone_is_added(house: House) -> None:
    terms = {"custody": "badge", "justification": None, "alternative": "a key", "retention_days": 3}
    assert house.site.add_zone("attic", title="The Attic", **terms).title == "The Attic"  # type: ignore[arg-type]
    assert [one.label for one in house.site.zones.all()] == ["The Attic (attic)", "lobby"]


def test_a_zone_states_a_rate_of_strangers_that_can_change(house: House) -> None:
    assert house.site.zones.get("lobby").fpir is FpirTarget.ORDINARY
    for typed, fpir in [("0.01 %", FpirTarget.STRICT), ("0.01%", FpirTarget.STRICT), ("0.1%", FpirTarget.ORDINARY)]:
        assert house.site.zones.set_fpir("lobby", typed).fpir is fpir
    assert [one["fpir"] for one in opened(house.store, "zone.fpir_changed")] == ["0.01%", "0.1%"]
    assert opened(house.store, "zone.fpir_changed")[0]["before"] == "0.1%"
    house.site.zones.rename("lobby", "Entrance")
    house.site.zones.set_fpir("lobby", "0.01%")
    assert (house.site.zones.get("lobby").title, house.site.zones.get("lobby").fpir) == ("Entrance", "0.01%")


def test_a_strict_zone_can_be_added(house: House) -> None:
    terms = {"custody": "badge", "justification": None, "alternative": "a badge", "retention_days": 30}
    assert house.site.add_zone("attic", fpir="0.01%", **terms).fpir is FpirTarget.STRICT  # type: ignore[arg-type]
    assert house.site.zones.get("attic").fpir is FpirTarget.STRICT


TERMS = {"custody": "operator", "justification": "trays", "alternative": "a badge", "retention_days": 30}


@pytest.mark.parametrize(
    ("terms", "trigger"),
    [
        ({}, "near"),
        ({"second_factor": "badge"}, "request"),
        ({"second_factor": "pin"}, "request"),
        ({"custody": "subject_key"}, "request"),
        ({"custody": "badge"}, "request"),
        ({"trigger": " Request "}, "request"),
        ({"trigger": "passing"}, "passing"),
        ({"second_factor": "pin", "trigger": "near"}, "near"),
    ],
)
def test_a_new_zone_asks_first_unless_it_says_otherwise(house: House, terms: dict[str, str], trigger: str) -> None:
    assert house.site.add_zone("attic", **TERMS | terms).trigger == trigger  # type: ignore[arg-type]
    house.reopen()
    assert house.site.zones.get("attic").trigger == trigger
    assert opened(house.store, "zone.added")[-1]["trigger"] == trigger


def test_an_unknown_trigger_and_one_that_does_not_fit_the_custody_are_refused(house: House) -> None:
    with pytest.raises(InputError, match="expected one of near, request, passing"):
        house.site.zones.set_trigger("lobby", "motion")
    house.declare("vault", "subject_key")
    for trigger in ("near", "passing"):
        with pytest.raises(RefusedError, match="give --trigger request"):
            house.site.zones.set_trigger("vault", trigger)
        with pytest.raises(RefusedError, match="leave --trigger out"):
            house.site.add_zone("attic", **TERMS | {"custody": "badge", "trigger": trigger})  # type: ignore[arg-type]


def test_the_notice_of_a_zone_that_identifies_everyone_who_passes_must_say_so(house: House) -> None:
    with pytest.raises(RefusedError, match=r"notice \(en\) does not say so") as refused:
        house.site.zones.set_trigger("lobby", "passing")
    assert PASSING_SENTENCES["en"] in str(refused.value)
    assert house.site.zones.get("lobby").trigger == "near"

    says = "Doors.\n\n**THE CAMERA compares the face\nof everyone who passes.** You may say no.\n"
    publish_sample_notice(house.site, "lobby", more=says)
    publish_sample_notice(house.site, "lobby", "fr-CA", more="Une notice.")
    with pytest.raises(RefusedError, match=r"\(fr-CA\).*La caméra compare le visage"):
        house.site.zones.set_trigger("lobby", "passing")
    publish_sample_notice(house.site, "lobby", "fr-CA", more=PASSING_SENTENCES["fr"])

    assert house.site.zones.set_trigger("lobby", "passing").trigger == "passing"
    near = house.site.notice("lobby", "en").text.replace(says, "").encode()
    with pytest.raises(RefusedError, match="the anchor of trigger says 'near', and the zone has 'passing'"):
        house.site.publish_notice("lobby", language="en", text=near)
    with pytest.raises(RefusedError, match='the sentence "Die Kamera vergleicht'):
        house.site.publish_notice("lobby", language="de", text=PASSING_SENTENCES["en"].encode())
    both = ["Porte.", PASSING_SENTENCES["de"]]
    publish_sample_notice(house.site, "lobby", "it", more="\n".join(both))
    assert opened(house.store, "zone.trigger_changed") == [{"zone": "lobby", "trigger": "passing", "before": "near"}]


def test_a_notice_that_is_older_than_a_change_of_the_trigger_is_stale(house: House) -> None:
    house.let_pass()
    assert stale_papers(house.store) == []
    house.clock.move(days=1)
    house.site.zones.rename("lobby", "East")
    house.site.zones.set_trigger("lobby", "near")
    assert PaperProblem.TRIGGER_CHANGED in [one.problem for one in stale_papers(house.store)]
    house.clock.move(days=1)
    publish_sample_notice(house.site, "lobby", more="We ask first.")
    assert stale_papers(house.store) == []


def test_a_notice_is_stale_if_its_text_does_not_fit_the_zone_of_today(house: House) -> None:
    def problems() -> list[tuple[PaperProblem, str | None]]:
        return [(one.problem, one.recipient) for one in stale_papers(house.store)]

    assert problems() == []
    house.clock.move(days=1)
    house.site.rights.recipients.add("lobby", "Guard Co", contact="guard@example.org")
    house.site.clocks.shorten_retention("lobby", 30)
    assert problems() == [(PaperProblem.RETENTION_CHANGED, None), (PaperProblem.RECIPIENT_ADDED, "Guard Co")]
    publish_sample_notice(house.site, "lobby")
    assert problems() == []
    house.site.zones.set_liveness("lobby", "challenge")
    assert problems() == [(PaperProblem.UNFIT, None)]
    publish_sample_notice(house.site, "lobby")
    house.site.declarations.declare({"dpo": "Dana Doe, dpo@example.org"})
    assert problems() == [(PaperProblem.UNFIT, None)]


def test_a_trigger_that_was_changed_in_the_file_is_found(house: House) -> None:
    house.let_pass()
    tamper(house.site.home / DATA, "UPDATE zone_change SET trigger = 'near'")
    with pytest.raises(TamperError):
        house.site.zones.get("lobby")


def test_a_zone_states_its_liveness_which_can_change(house: House) -> None:
    assert house.site.zones.get("lobby").liveness is LivenessLevel.NONE
    for level in ("Challenge", "pack", "none", "challenge"):
        assert house.site.zones.set_liveness("lobby", level).liveness == level.lower()
    assert [one["liveness"] for one in opened(house.store, "zone.liveness_changed")][:2] == ["challenge", "pack"]
    house.site.zones.rename("lobby", "Entrance")
    house.reopen()
    assert house.site.zones.get("lobby").liveness is LivenessLevel.CHALLENGE
    terms = {"custody": "badge", "justification": None, "alternative": "a key", "retention_days": 3}
    added = house.site.add_zone("attic", liveness="pack", **terms)  # type: ignore[arg-type]
    assert house.site.zones.get("attic") == added
    for wrong in ("", "yes", "high"):
        with pytest.raises(InputError, match=r"got level of liveness .*; expected one of none, challenge, pack"):
            house.site.zones.set_liveness("lobby", wrong)
    tamper(house.site.home / DATA, "UPDATE zone_change SET liveness = 'none'")
    house.reopen()
    with pytest.raises(TamperError, match="zone 'lobby'"):
        house.site.zones.get("lobby")


def test_a_zone_states_its_lease_which_can_change(house: House) -> None:
    assert house.site.zones.get("lobby").lease_seconds == 0
    for seconds in (60, 900, 0, 5, 5):
        assert house.site.zones.set_lease("lobby", seconds).lease_seconds == seconds
    assert [one["before"] for one in opened(house.store, "zone.lease_changed")] == [0, 60, 900, 0]
    house.site.zones.rename("lobby", "Entrance")
    house.reopen()
    assert house.site.zones.get("lobby").lease_seconds == 5
    for wrong in (-1, 4, 901):
        with pytest.raises(InputError, match=rf"got a lease of {wrong} seconds; expected 0 .*, or 5 to 900"):
            house.site.zones.set_lease("lobby", wrong)
    tamper(house.site.home / DATA, "UPDATE zone_change SET lease_seconds = 900")
    house.reopen()
    with pytest.raises(TamperError, match="zone 'lobby'"):
        house.site.zones.get("lobby")


def test_a_zone_says_what_its_doors_do_after_their_lease(house: House) -> None:
    zones = house.site.zones
    assert zones.get("lobby").after_lease == "closed"
    with pytest.raises(RefusedError, match="has no leases, so nothing comes after them"):
        zones.set_after_lease("lobby", "badge")
    with pytest.raises(RefusedError, match="has no leases, so nothing comes after them"):
        house.site.add_zone("attic", **TERMS | {"after_lease": "badge"})  # type: ignore[arg-type]
    zones.set_lease("lobby", 60)
    for rule in ("badge", "badge", "closed", "badge"):
        assert zones.set_after_lease("lobby", rule).after_lease == rule
    assert [one["before"] for one in opened(house.store, "zone.after_lease_changed")] == ["closed", "badge", "closed"]
    with pytest.raises(InputError, match="got rule for doors after their lease 'open'; expected one of closed, badge"):
        zones.set_after_lease("lobby", "open")
    house.reopen()
    assert house.site.zones.set_lease("lobby", 90).after_lease == "badge"
    assert house.site.zones.set_lease("lobby", 0).after_lease == "closed", "without leases nothing comes after them"


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"custody": "badge"}, "holds nothing that it could open"),
        ({"custody": "subject_key"}, "holds nothing that it could open"),
        ({"second_factor": "pin"}, "cannot count wrong tries"),
    ],
)
def test_a_zone_in_which_people_show_something_has_no_lease(house: House, terms: dict[str, str], why: str) -> None:
    house.declare("attic", **terms)
    with pytest.raises(RefusedError, match=why):
        house.site.zones.set_lease("attic", 60)
    with pytest.raises(RefusedError, match=why):
        house.declare("cellar", **terms, lease_seconds=60)


@pytest.mark.parametrize("fpir", ["1%", "0.1", "", "0,1%", "0.001%"])
def test_a_rate_without_measured_thresholds_is_refused(house: House, fpir: str) -> None:
    with pytest.raises(InputError, match=r"rate of strangers accepted \(FPIR\) .*; expected one of 0\.1%, 0\.01%"):
        house.site.zones.set_fpir("lobby", fpir)
    assert house.site.zones.get("lobby").fpir is FpirTarget.ORDINARY


def test_a_change_back_in_the_data_file_is_noticed(house: House) -> None:
    house.site.zones.set_fpir("lobby", "0.01%")
    tamper(house.site.home / DATA, "UPDATE zone_change SET fpir = '0.1%'")
    house.reopen()
    with pytest.raises(TamperError, match="zone 'lobby'"):
        house.site.zones.get("lobby")


@pytest.mark.parametrize("title", ["a" * 81, "a\x07b", "a\u202eb"])
def test_a_title_with_control_characters_or_too_long_is_refused(house: House, title: str) -> None:
    with pytest.raises(InputError, match="got a title"):
        house.site.zones.rename("lobby", title)
    with pytest.raises(UnknownError):
        house.site.zones.rename("attic", "x")


def test_a_paused_zone_matches_nobody_until_it_is_resumed(house: House) -> None:
    person = house.admit()
    assert house.sees(person)
    house.site.zones.pause("lobby")
    with pytest.raises(ZonePausedError, match="volens zone resume lobby"):
        house.sees(person)
    with pytest.raises(ZonePausedError):
        house.verify(person)
    house.site.zones.resume("lobby")
    assert house.sees(person)
    assert house.verify(person).match is not None
    assert issubclass(ZonePausedError, UnavailableError)


def test_another_process_follows_a_pause_at_once(house: House) -> None:
    person = house.admit()
    assert house.sees(person)
    ours, theirs = house.galleries, Galleries(house.store)
    object.__setattr__(house.site.installation, "galleries", theirs)
    assert house.sees(person)
    house.site.zones.pause("lobby")
    for galleries in (ours, theirs):
        object.__setattr__(house.site.installation, "galleries", galleries)
        with pytest.raises(ZonePausedError):
            house.sees(person)


def test_a_pause_lasts_over_a_restart_and_ends_no_consent(house: House) -> None:
    person = house.admit()
    house.site.zones.pause("lobby")
    house.site.zones.pause("lobby")
    house.reopen()
    with pytest.raises(ZonePausedError):
        house.sees(person)
    assert kinds(house.store).count("zone.paused") == 1
    assert house.withdraw(person).reason == EndReason.WITHDRAWN


def test_nobody_is_enrolled_in_a_paused_zone(house: House) -> None:
    person = house.invite()
    house.site.zones.pause("lobby")
    with pytest.raises(ZonePausedError):
        house.site.enroll(person.take_home.to_json(), [])


def test_a_pause_that_is_taken_back_in_the_data_file_is_noticed(house: House) -> None:
    person = house.admit()
    house.site.zones.pause("lobby")
    tamper(house.site.home / DATA, "DELETE FROM zone_change")
    house.reopen()
    with pytest.raises(TamperError, match="zone 'lobby'"):
        house.sees(person)


def test_an_empty_zone_is_removed_and_its_name_stays_taken(house: House) -> None:
    house.declare("attic")
    zone, erased = house.site.zones.remove("attic")
    assert (zone.state, erased) == (ZoneState.REMOVED, [])
    assert [one.purpose for one in house.site.zones.all()] == ["lobby"]
    assert [one.purpose for one in house.site.zones.all(removed=True)] == ["attic", "lobby"]
    assert [one.zone.purpose for one in house.site.status().zones] == ["lobby"]
    with pytest.raises(RefusedError, match="its name stays taken"):
        house.declare("attic")
    for change in (
        lambda: house.site.zones.rename("attic", "x"),
        lambda: house.site.zones.pause("attic"),
        lambda: house.site.zones.resume("attic"),
        lambda: house.site.zones.remove("attic"),
        lambda: house.invite("attic"),
        lambda: house.site.publish_notice("attic", language="fr", text=b"x"),
    ):
        with pytest.raises(RefusedError, match="was removed"):
            change()
    assert opened(house.store, "zone.removed") == [{"zone": "attic"}]


def test_a_zone_with_people_is_removed_with_everyone_or_not_at_all(house: House) -> None:
    house.declare("attic")
    person, other = house.admit("attic"), house.admit()
    with pytest.raises(RefusedError, match="1 person has a consent in force for zone 'attic'"):
        house.site.zones.remove("attic")
    assert house.site.zones.get("attic").state is ZoneState.IN_USE
    assert house.sees(person, "attic")

    _zone, (erased,) = house.site.zones.remove("attic", erase_everyone=True)
    statement = verify_certificate(erased.certificate_path.read_bytes(), house.site.verifier_key).statement
    assert statement["reason"] == "zone_removed"
    with pytest.raises(RefusedError, match="was removed"):
        house.look_at(person.face, "attic")
    with pytest.raises(NoLiveConsentError):
        house.grant(person)
    assert house.sees(other)
    with house.store.read() as connection:
        held = held_under(house.store, connection, person.receipt_id)
    assert held is not None
    assert (held.anything, held.zone.state) == (False, ZoneState.REMOVED)
    house.site.log.verify()
    house.site.log.verify_rows()


def test_the_policy_shows_titles_and_pauses_and_no_removed_zone(house: House) -> None:
    house.declare("attic")
    house.site.zones.remove("attic")
    house.site.zones.rename("lobby", "Lobby East")
    house.site.zones.pause("lobby")
    (described,) = house.site.clocks.policy()["dpv:hasPersonalDataProcess"]
    assert (described["volens:title"], described["volens:state"]) == ("Lobby East", "paused")
