"""`volens enroll --replace-photos` and `--add-photos`: new photos under the consent that is in force."""

import json
import zipfile
from pathlib import Path

import pytest
from house import House
from said import Command, Said

from volens import Extractor, RgbImage, VerifierKey, verify_certificate
from volens.consent import Badge, SubjectKey, TakeHome
from volens.consent.errors import RefusedError
from volens.enroll import NewPhotos, PhotoChange
from volens.service import samples


def who_is(volens: Command, photo: Path) -> str | None:
    (face,) = volens("identify", "--zone", "lobby", photo, "--json").json["faces"]
    return face["subject_id"]


def enrolled_with(volens: Command, receipt: Path, *photos: Path | str) -> Said:
    return volens("enroll", receipt, *photos, "--json")


def test_an_added_photo_is_weighed_with_those_that_were_there(volens: Command, enrolled: Path, album: Path) -> None:
    subject_id = who_is(volens, album / "ada-1.png")
    added = enrolled_with(volens, enrolled, album / "ada-door.png", "--add-photos")
    assert (added.code, added.json["photo_count"], added.json["few"]) == (0, 4, False)
    assert who_is(volens, album / "ada-1.png") == subject_id
    assert volens("status", "--json").json["zones"][0]["references"] == {added.json["model"]: 1}


def test_photos_of_another_person_are_refused_unless_the_identity_was_checked(
    volens: Command, enrolled: Path, album: Path
) -> None:
    subject_id = who_is(volens, album / "ada-door.png")
    others = [album / f"group-0-{number}.png" for number in (1, 2, 3)]
    for option in ("--replace-photos", "--add-photos"):
        refused = volens("enroll", enrolled, *others, option)
        assert refused.code != 0
        assert "do not seem to show the person who is enrolled" in refused.err
    assert who_is(volens, album / "ada-door.png") == subject_id
    assert who_is(volens, others[0]) is None

    assert volens("enroll", enrolled, *others, "--replace-photos", "--another-look").code == 0
    assert who_is(volens, others[0]) == subject_id
    assert who_is(volens, album / "ada-door.png") is None
    assert volens("enroll", enrolled, *others, "--add-photos", "--another-look").code == 2


@pytest.mark.parametrize("option", ["--replace-photos", "--add-photos"])
def test_new_photos_of_a_look_alike_need_the_word_that_they_are_two_people(
    volens: Command, enrolled: Path, give: Command, album: Path, option: str
) -> None:
    assert enrolled.exists()
    assert give("--yes-i-read-it", name="Eve Alike", out="eve").code == 0
    eve, alike = "eve.receipt.json", [album / f"ada-{number}.png" for number in (1, 2)]
    assert volens("enroll", eve, album / "ada-door.png", "--allow-few", "--two-people").code == 0

    refused = volens("enroll", eve, *alike, option, "--allow-few")
    assert (refused.code, "enroll again with --two-people" in refused.err) == (1, True)
    assert volens("enroll", eve, *alike, option, "--allow-few", "--two-people").code == 0
    assert volens("audit", "verify", "--json").json["kinds"]["enrollment.two_people"] == 2


def test_answer_and_certificate_say_that_photos_were_replaced(volens: Command, enrolled: Path, album: Path) -> None:
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    assert volens("enroll", enrolled, *photos, "--replace-photos").code == 0
    assert volens("export", enrolled, "--to", "answer.zip").code == 0
    with zipfile.ZipFile("answer.zip") as answer:
        (note,) = json.loads(answer.read("consent-1/record.jsonld"))["volens:held"]["replaced_reference"]
    assert (note["change"], note["photo_count"]) == ("replace", 3)
    assert "recognised_by" not in note
    withdrawn = volens("withdraw", enrolled, "--json").json
    key = VerifierKey.parse(Path("site/site.pub").read_text().strip())
    statement = verify_certificate(Path(withdrawn["certificate"]).read_bytes(), key).statement
    assert statement["destroyed"]["replaced embeddings"] == 1
    assert "beginning of a replaced embedding" in {one["what"] for one in statement["existed"]}


def test_new_photos_need_a_reference(volens: Command, ada: Path, album: Path) -> None:
    refused = volens("enroll", ada, album / "ada-1.png", "--add-photos")
    assert "enroll the person first" in refused.err
    assert volens("enroll", ada, album / "ada-1.png", "--add-photos", "--replace-photos").code == 2


@pytest.mark.parametrize("custody", ["subject_key", "badge"])
def test_where_the_person_holds_the_key_they_show_it_for_new_photos(
    house: House, loaded: Extractor, custody: str
) -> None:
    house.reopen(lambda: loaded)
    house.declare("vault", custody=custody)
    photos = samples.views(samples.astronaut(), 4)
    notice = house.site.notice("vault")
    home = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=SubjectKey.from_seed(b"k" * 32))
    badges: list[bytes] = []
    hand_over = (lambda badge: badges.append(badge.to_bytes())) if custody == "badge" else None
    house.site.enroll(home.to_json(), photos[:3], secret=home.secret, hand_over=hand_over)
    old = Badge.parse(badges[0]) if badges else home.secret
    assert old is not None

    new = NewPhotos(photos[3:], PhotoChange.ADD)
    changed = house.site.changes.photos(home.to_json(), new, carried=old, hand_over=hand_over)
    assert changed.photo_count == 4
    assert is_known(house, home, photos[0], Badge.parse(badges[1]) if badges else old)
    if badges:
        with pytest.raises(RefusedError, match="replaced by a newer one"):
            is_known(house, home, photos[0], old)


def is_known(house: House, home: TakeHome, photo: RgbImage, carried: object) -> bool:
    decision = house.site.verify_claim(home.to_json(), photo, carried=carried)  # type: ignore[arg-type]
    return decision is not None and decision.outcome == "match"
