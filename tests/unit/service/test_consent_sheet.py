"""The sheet that a person takes home, as a page and as PDF; and what the desk keeps of it: nothing."""

import html
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from declared_gates import open_gates, open_gates_in
from house import House
from publishing import publish_at_home
from pypdf import PdfReader
from said import Command
from signing import sign_receipt

from volens.consent import InputError, SubjectKey, TakeHome, WithdrawalCode
from volens.consent.receipt import Controller, ReceiptSignatureError
from volens.erase.pages import LANGUAGES, PageLanguage, PageWords
from volens.service.cli.desk_copies import desk_copies, only_in_files
from volens.service.consent_sheet import ConsentSheet, sheet_page
from volens.service.qr_codes import qr_modules, qr_svg
from volens.service.sample_notice import publish_sample_notice
from volens.service.sheet_pdf import sheet_pdf

PARIS = ZoneInfo("Europe/Paris")
TITLES = {
    "en": "The door “lobby” may know your face",
    "fr": "La porte «\u00a0lobby\u00a0» peut reconnaître votre visage",
    "de": "Die Tür „lobby“ darf Ihr Gesicht kennen",
}


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def text_of(page: str) -> str:
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


def code_of(take_home: TakeHome) -> WithdrawalCode:
    assert take_home.code is not None
    return take_home.code


def facts(take_home: TakeHome) -> list[str]:
    return [
        code_of(take_home).reveal(),
        "Example Ltd",
        "privacy@example.org",
        "a badge at the desk",
        "30 May 2099, 14:00",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_and_the_pdf_say_the_same_in_each_language(house: House, language: PageLanguage) -> None:
    take_home = house.invite().take_home
    page = flat(text_of(sheet_page(take_home, language, PARIS)))
    pdf = PdfReader(io.BytesIO(sheet_pdf(take_home, language, PARIS)))

    assert len(pdf.pages) == 1
    printed = flat(pdf.pages[0].extract_text())
    for shown in (page, printed):
        assert flat(TITLES[language]) in shown
        assert all(one in shown for one in facts(take_home)[:4])
        assert take_home.receipt.claims.receipt_id in shown
        assert flat(PageWords("base", language).text("right rectification")) in shown
    if language == "en":
        assert facts(take_home)[4] in page
        assert facts(take_home)[4] in printed


def test_the_sheet_lists_the_rights_of_the_receipt_and_its_authority_last(house: House) -> None:
    words, sheet = PageWords("consent_sheet", "en"), ConsentSheet.of(house.invite().take_home)
    named = replace(sheet, privacy_rights=("complaint", "access"), authority_url="https://www.cnil.fr/x")
    assert named.rights(words) == "see what is held about you; complain to the authority: https://www.cnil.fr/x"
    assert replace(named, privacy_rights=("access",)).rights(words) == "see what is held about you"
    unnamed = replace(named, authority_url=None)
    assert unnamed.rights(words).endswith("data protection authority where you live or work")


def test_the_sheet_is_in_the_language_of_the_notice(house: House) -> None:
    publish_sample_notice(house.site, "lobby", "fr-CA", more="Nous comparons votre visage.")
    key = SubjectKey.from_seed(bytes(32))
    notice = house.site.notice("lobby", "fr-CA")
    take_home = house.site.give_consent(notice, name="Zoé", jurisdiction="FR", key=key)
    assert 'lang="fr"' in sheet_page(take_home)


def test_a_long_text_is_made_smaller_and_stays_on_one_page(house: House) -> None:
    words = {"custody": "operator", "justification": "trays", "retention_days": 90}
    zone = house.site.add_zone("attic", alternative="a badge, or the bell at the desk; " * 40, **words)
    open_gates(house.site, "attic")
    notice = publish_sample_notice(house.site, "attic", more="x")
    take_home = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=SubjectKey.from_seed(bytes(32)))
    pdf = PdfReader(io.BytesIO(sheet_pdf(take_home)))
    assert len(pdf.pages) == 1
    assert flat(zone.alternative).strip() in flat(pdf.pages[0].extract_text())


def test_a_camera_reads_the_qr_code_of_the_pdf(house: House) -> None:
    take_home = house.invite().take_home
    modules = np.pad(~np.array(qr_modules(take_home.qr_text())), 4, constant_values=True)
    picture = np.kron(modules, np.ones((6, 6))).astype(np.uint8) * 255
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    assert text == code_of(take_home).qr_text()


def test_letters_that_the_pdf_cannot_show_are_refused_and_the_page_shows_them(house: House) -> None:
    zone = house.site.status().zones[0].zone
    controller = Controller(house.site.status().site_id, "株式会社", "privacy@example.org")
    options = {"receipt_id": "0" * 32, "jurisdiction": "FR", "now": house.clock()}
    receipt = sign_receipt(zone, house.site.notice("lobby"), controller, key=SubjectKey.from_seed(bytes(32)), **options)
    take_home = TakeHome(receipt, WithdrawalCode.generate(os.urandom))
    assert "株式会社" in sheet_page(take_home)
    with pytest.raises(InputError, match=r"cannot show U\+682A, U\+5F0F, U\+4F1A .*--out FILE\.html"):
        sheet_pdf(take_home)


def test_a_sheet_needs_a_code_and_a_signature_that_holds(house: House) -> None:
    take_home = house.invite().take_home
    with pytest.raises(InputError, match="no withdrawal code"):
        ConsentSheet.of(TakeHome(take_home.receipt))
    token = take_home.receipt.token
    changed = TakeHome.parse(take_home.to_json().replace(token[-10:-4].encode(), b"AAAAAA"))
    with pytest.raises(ReceiptSignatureError):
        sheet_page(changed)


def test_the_desk_prints_hands_over_and_keeps_nothing(ada: Path, volens: Command) -> None:
    assert volens("consent", "sheet", ada, "--out", "ada.html", "--language", "de").code == 0
    assert Path("ada.html").stat().st_mode & 0o777 == 0o600
    assert volens("consent", "sheet", ada, "--out", "ada.html").code == 2
    assert volens("consent", "sheet", ada, "--out", "ada.txt").code == 2
    asked = volens("consent", "sheet", ada, "--out", "ada.pdf", "--hand-over")
    assert (asked.code, ada.exists()) == (2, True)
    assert "removed nothing" in asked.err
    Path("ada.pdf").unlink()

    done = volens("consent", "sheet", ada, "--out", "ada.pdf", "--hand-over", "--yes-it-is-printed", "--json").json

    names = ["ada.receipt.json", "ada.receipt.qr.png", "ada.key", "ada.html", "ada.pdf"]
    assert [Path(one).name for one in done["removed"]] == names
    assert not [name for name in names if Path(name).exists()]


def test_the_files_go_to_the_persons_own_medium_and_are_removed_here(
    ada: Path, give: Command, volens: Command, tmp_path: Path
) -> None:
    assert give("--yes-i-read-it", name="Bea", out="bea").code == 0
    stick = tmp_path / "stick"
    stick.mkdir()
    receipt = ada.read_bytes()
    assert volens("consent", "sheet", ada, "--out", "ada.pdf").code == 0

    said = volens("consent", "sheet", ada, "--out", stick / "ada.pdf", "--hand-over")

    assert said.code == 0, said.err
    assert "an SSD" in said.out
    assert sorted(path.name for path in stick.iterdir()) == [
        *("ada.key", "ada.pdf", "ada.receipt.json", "ada.receipt.qr.png")
    ]
    assert (stick / "ada.receipt.json").read_bytes() == receipt
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in stick.iterdir())
    assert sorted(path.name for path in tmp_path.glob("ada*")) == []
    assert Path("bea.key").exists(), "another person's key is left alone"
    again = volens("consent", "sheet", "bea.receipt.json", "--out", stick / "ada.pdf", "--hand-over")
    assert (again.code, Path("bea.key").exists()) == (2, True)


def test_a_badge_is_found_by_its_content_and_handed_over_with_its_qr_codes(house: House, tmp_path: Path) -> None:
    house.declare("gate", custody="badge")
    owner, other = house.admit("gate"), house.admit("gate")
    receipt = tmp_path / "x.json"
    receipt.write_bytes(owner.take_home.to_json())
    for name, person in {"mine": owner, "hers": other}.items():
        assert person.badge is not None
        (tmp_path / name).write_bytes(person.badge)
        (tmp_path / f"{name}.qr-1.png").write_bytes(b"\x89PNG")
    found = desk_copies(receipt, owner.take_home)
    assert [path.name for path in found] == ["x.json", "mine", "mine.qr-1.png"]
    assert [path.name for path in only_in_files(found)] == ["mine"]


def test_a_secret_is_not_removed_for_a_sheet_that_does_not_show_it(lobby: Path, give: Command, volens: Command) -> None:
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    assert volens("zone", "add", "vault", "--custody", "subject_key", *promises).code == 0
    open_gates_in(lobby / "site", "vault")
    publish_at_home("vault")
    assert give("--zone", "vault", "--yes-i-read-it").code == 0
    arguments = ("consent", "sheet", "ada.receipt.json", "--hand-over", "--out")
    refused = volens(*arguments, "ada.pdf", "--yes-it-is-printed")
    assert (refused.code, Path("ada.receipt.secret.txt").exists()) == (2, True)
    assert "no sheet shows what is in ada.receipt.secret.txt" in refused.err
    Path("stick").mkdir()
    handed = volens(*arguments, "stick/ada.pdf", "--json").json["handed_over"]
    assert "stick/ada.receipt.secret.txt" in handed
    assert not Path("ada.receipt.secret.txt").exists()


def test_a_file_in_the_way_stops_the_handing_over_before_anything_is_removed(
    ada: Path, volens: Command, tmp_path: Path
) -> None:
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "ada.key").write_text("x")
    said = volens("consent", "sheet", ada, "--out", "stick/ada.pdf", "--hand-over")
    assert (said.code, ada.exists(), Path("stick/ada.pdf").exists()) == (2, True, False)


def test_consent_give_names_the_copies_and_how_to_remove_them(lobby: Path, give: Command) -> None:
    assert lobby.exists()
    said = give("--yes-i-read-it")
    assert "this computer has copies of these files" in said.out
    assert "volens consent sheet ada.receipt.json --out ada.receipt.pdf --hand-over" in said.out


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_consent_is_withdrawn_by_a_picture_of_its_qr_code(ada: Path, volens: Command, suffix: str) -> None:
    picture = cv2.imread(str(ada.with_suffix(".qr.png")))
    assert picture is not None
    photo = np.full((900, 1200, 3), 180, np.uint8)
    photo[200 : 200 + picture.shape[0], 300 : 300 + picture.shape[1]] = picture
    assert cv2.imwrite(f"photo.{suffix}", photo)
    said = volens("withdraw", f"photo.{suffix}", "--json")
    assert (said.code, said.json["zone"]) == (0, "lobby")


def test_a_picture_without_a_withdrawal_code_is_refused_and_ends_nothing(
    ada: Path, volens: Command, album: Path
) -> None:
    assert volens("withdraw", album / "ada-1.png").code == 2
    cv2.imwrite("other.png", cv2.resize(cv2.QRCodeEncoder.create().encode("hello"), None, fx=8, fy=8, interpolation=0))
    assert "found no withdrawal codes in other.png" in volens("withdraw", "other.png").err
    for name in ("ada.pdf", "ada.html"):
        assert volens("consent", "sheet", ada, "--out", name).code == 0
        assert "pass a picture of its QR code" in volens("withdraw", name).err
    assert volens("withdraw", ada).code == 0


def test_with_a_public_address_every_qr_code_opens_the_persons_own_page(
    lobby: Path, give: Command, volens: Command
) -> None:
    assert volens("defaults", "set", "--public-url", "https://door.example").code == 0
    assert give("--yes-i-read-it").code == 0
    take_home = TakeHome.parse((lobby / "ada.receipt.json").read_bytes())
    address = f"https://door.example/me#{code_of(take_home).reveal().replace('-', '')}"
    assert json.loads((lobby / "ada.receipt.json").read_text())["my_data"] == address == take_home.qr_text()
    picture = cv2.imread(str(lobby / "ada.receipt.qr.png"))
    assert cv2.QRCodeDetector().detectAndDecode(picture)[0] == address
    page, pdf = text_of(sheet_page(take_home, "en")), PdfReader(io.BytesIO(sheet_pdf(take_home, "en")))
    for shown in (page, flat(pdf.pages[0].extract_text())):
        assert "Scan this square with your phone" in flat(shown)
    assert qr_svg(address) in sheet_page(take_home)
    assert volens("withdraw", "ada.receipt.qr.png").code == 0
    assert volens("withdraw", "--code", address.lower()).code == 0
