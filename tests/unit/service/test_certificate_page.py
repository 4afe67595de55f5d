"""The certificate as a page, and the answers of recipients, from the command line."""

import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from house import House, Person
from said import Command

from volens.consent import SubjectKey
from volens.erase.pages import PageLanguage
from volens.erase.proof import verify_certificate
from volens.service.certificate_page import certificate_page

_LOADS: Final = {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}
_VOID: Final = {"meta", "path", "br", "hr"}

NOT_SEARCHED: Final[dict[PageLanguage, str]] = {
    "en": "The files of the database server, its log, its replicas and its backups were not searched.",
    "fr": "Les fichiers du serveur de base de données, son journal, ses répliques et ses sauvegardes",
    "de": "Die Dateien des Datenbankservers, sein Protokoll, seine Replikate und seine Sicherungen wurden nicht",
}


class Page(HTMLParser):
    """The text of a page as a browser shows it; every tag must be closed, and nothing may be loaded."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.open, self.tags = "", list[str](), list[str]()
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name in _LOADS or name.startswith("on")]
        self.tags.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name in _LOADS or name.startswith("on")]
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def page_of(house: House, path: Path, language: PageLanguage = "en") -> Page:
    checked = verify_certificate(path.read_bytes(), house.site.verifier_key)
    return Page(certificate_page(checked, house.site.verifier_key, language, ZoneInfo("Europe/Paris")))


def test_the_page_of_a_renewed_consent_says_what_goes_on(house: House) -> None:
    key = SubjectKey.from_seed(b"\7" * 32)
    notice = house.site.notice("lobby")
    person = Person(house.site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key), house.face())
    renewed = house.site.changes.renew(house.enroll(person).receipt_id, notice, key=key)
    assert renewed.ended is not None
    page = page_of(house, renewed.ended.certificate_path)

    assert "Your earlier consent has ended" in page.text
    assert "has been erased" not in page.text
    assert "Doors go on recognising you" in page.text
    assert sha256(renewed.take_home.receipt.token.encode()).hexdigest() in page.text
    assert "Your face data, encrypted: 1, encrypted again under its own key" in page.text
    assert "afterwards it did not" not in page.text


def test_the_page_shows_the_statement_in_plain_words(house: House) -> None:
    erased = house.withdraw(house.admit())
    page = page_of(house, erased.certificate_path)

    assert "Your face data has been erased" in page.text
    assert "because you withdrew your consent" in page.text
    assert "from 1 March 2099, 13:00 CET (12:00:00 UTC) on" in page.text
    assert "Key that opens your face data wrapped grant secret" in page.text
    assert "afterwards it did not" in page.text
    assert "The site has no recipients on record." in page.text
    assert erased.certificate_id in page.text
    assert "svg" in page.tags
    assert "script" not in page.tags
    assert len(page.text) < 3000, "more than one sheet of A4"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [("fr", "Les données de votre visage ont été effacées"), ("de", "Ihre Gesichtsdaten wurden gelöscht")],
)
def test_the_page_is_in_the_persons_language(house: House, language: PageLanguage, sentence: str) -> None:
    page = page_of(house, house.withdraw(house.admit()).certificate_path, language)
    assert sentence in page.text
    assert "erasure of the keyring" not in page.text
    assert len(page.text) < 3000, "more than one sheet of A4"


@pytest.mark.parametrize("engine", ["server"], indirect=True)
def test_the_page_of_a_site_on_a_server_says_what_was_not_searched(house: House) -> None:
    path = house.withdraw(house.admit()).certificate_path
    for language, sentence in NOT_SEARCHED.items():
        page = page_of(house, path, language)
        assert sentence in page.text
        assert "sealed under keys" not in page.text, "the English of the statement"
        assert len(page.text) < 3300, "more than one sheet of A4"


def test_the_page_promises_no_search_that_was_not_run(house: House) -> None:
    page = page_of(house, house.withdraw(house.invite()).certificate_path)
    assert "afterwards it did not" not in page.text


def test_names_are_shown_as_text_not_as_markup(house: House) -> None:
    house.site.rights.recipients.add("lobby", "<script>alert(1)</script> & Sons")
    page = page_of(house, house.withdraw(house.admit()).certificate_path)
    assert "<script>alert(1)</script> & Sons: has not answered yet" in page.text
    assert "script" not in page.tags


def test_a_recipient_signs_and_the_person_reads_it(ada: Path, volens: Command) -> None:
    trust = ("--trust", "site/site.pub")
    assert volens("operator", "keygen", "office.key", "--no-passphrase").code == 0
    added = volens(
        "recipient", "add", "Badge office", "--zone", "lobby", "--key", "office.key.pub", "--yes", "--json"
    ).json
    assert added["signs"] is True
    assert volens("recipient", "add", "Guards", "--zone", "lobby", "--yes").code == 0
    erased = volens("withdraw", ada, "--json").json
    certificate = next(Path("site/certificates").iterdir())
    assert certificate.stem in str(erased)
    assert "recipient: Badge office" in volens("certificate", "verify", certificate, *trust).out

    signing = ("--key", "office.key", "--out", "office.jws")
    assert volens("recipient", "sign", certificate, *trust, *signing).code == 0
    Path("letter.txt").write_text("gone")
    acknowledge = ("certificate", "acknowledge", certificate.stem, "--recipient")
    assert volens(*acknowledge, "Badge office", "--statement", "letter.txt").code == 2
    assert volens(*acknowledge, "Badge office", "--statement", "office.jws").code == 0
    assert volens(*acknowledge, "Badge office", "--statement", "office.jws").code == 1
    assert volens(*acknowledge, "Guards", "--statement", "letter.txt").code == 0

    said = volens("certificate", "verify", certificate, *trust)
    assert re.search(r"acknowledged by Badge office at \S+, signed by the recipient", said.out)
    assert re.search(r"acknowledged by Guards at \S+, recorded by the site", said.out)
    assert volens("certificate", "show", certificate, *trust, "--html", "page.html").code == 0
    page = Page(Path("page.html").read_text(encoding="utf-8"))
    assert "Badge office: erased it too, signed by the recipient" in page.text
    assert "Guards: erased it too, according to the site" in page.text
    assert volens("certificate", "show", certificate, *trust, "--html", "page.html").code == 2
    german = (
        "certificate",
        "show",
        certificate,
        *trust,
        "--html",
        "page.de.html",
        "--receipt",
        ada,
        "--language",
        "de",
    )
    assert volens(*german, "--json").json["language"] == "de"
    assert "Badge office: hat sie auch gelöscht" in Path("page.de.html").read_text(encoding="utf-8")
    listed = volens("recipient", "list", "--json").json
    assert [one["name"] for one in listed] == ["Badge office", "Guards"]
    assert volens("recipient", "remove", "Guards", "--zone", "lobby").code == 0
    assert len(volens("recipient", "list", "--all", "--json").json) == 2


def test_no_page_is_written_for_a_certificate_that_does_not_verify(ada: Path, volens: Command) -> None:
    assert volens("withdraw", ada).code == 0
    certificate = next(Path("site/certificates").iterdir())
    data = bytearray(certificate.read_bytes())
    data[200] ^= 1
    Path("changed.json").write_bytes(data)
    said = volens("certificate", "show", "changed.json", "--trust", "site/site.pub", "--html", "page.html")
    assert said.code in {2, 4}
    assert not Path("page.html").exists()


@pytest.mark.parametrize("arguments", [("list", "--zone", "attic!"), ("remove", "Nobody", "--zone", "lobby")])
def test_an_unknown_recipient_or_zone_is_a_usage_error(
    lobby: Path, volens: Command, arguments: tuple[str, ...]
) -> None:
    assert lobby.is_dir()
    assert volens("recipient", *arguments).code == 2
