"""My data over HTTP: the session behind a code, what it may see and change, its limits, and what no log says."""

import base64
import io
import re
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from connections import lock_timeout
from fastapi import FastAPI
from house import House, Person
from httpx2 import Response
from patience import PATIENCE_S
from starlette.testclient import TestClient

from volens.consent import Badge, PersonSecret, RefusedError, SubjectKey, TakeHome, WithdrawalCode
from volens.consent.receipt_offer import ReceiptOffer
from volens.consent.receipt_signature import SignatureForm
from volens.enroll import ConsentChanges
from volens.erase.proof import verify_certificate
from volens.face import DifferentPeopleError
from volens.rights import verify_answer
from volens.service.http import AppState, RateLimiter, application
from volens.service.process.service_log import log_to
from volens.service.web.web_routes import add_pages

SITE = "https://doors.example"
OWN = {"Origin": SITE, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


@dataclass
class Pages:
    """A browser at the pages of a site, without a script."""

    client: TestClient
    state: AppState

    def open(self, person: Person) -> Response:
        return self.post("/me/session", {"code": person.code})

    def post(self, address: str, body: object = None, **headers: str) -> Response:
        return self.client.post(address, json=body, headers=OWN | headers)

    def get(self, address: str) -> Response:
        return self.client.get(address, headers={"Accept": "text/html"}, follow_redirects=False)

    def text(self, address: str) -> str:
        answer = self.client.get(address, headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def state(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppState]:
    # A withdrawal that takes longer on a busy machine is answered when it is finished, as on a quiet one.
    monkeypatch.setattr("volens.service.web.my_data_actions.ANSWER_WITHIN_S", PATIENCE_S)
    house.site.defaults.set(public_url=SITE)
    state = AppState(house.site, model_threads=1, waiting=4)
    yield state
    state.close()


@pytest.fixture
def pages(state: AppState, log: io.StringIO) -> Pages:
    app: FastAPI = application(state, add_pages=add_pages, log=log_to(log))
    return Pages(TestClient(app, base_url=SITE, raise_server_exceptions=False), state)


def of(person: Person, part: str = "") -> str:
    return f"/me/consents/{person.receipt_id}{part}"


def test_a_code_opens_a_session_and_everything_that_is_read_works_without_a_script(pages: Pages, house: House) -> None:
    ada = house.admit()
    house.visit(ada)
    assert ada.take_home.qr_text().startswith(f"{SITE}/me#")
    assert pages.post("/me/session", {"code": ada.take_home.qr_text()}).json() == {"next": "/me/data"}
    shown = pages.text("/me/data")
    assert "Your face opens the door “lobby”" in shown
    assert "In force until 30 May 2099" in shown
    assert "with Example Ltd" in shown
    details = pages.text(of(ada, "/details"))
    for fact in ("Ada Canary Example", ada.receipt_id, "1 March 2099, 12:00", "a badge at the desk"):
        assert fact in details, fact
    for part in ("name", "photos", "download", "receipt"):
        assert pages.get(of(ada, f"/{part}")).status_code == 200
    assert pages.get(of(ada, "/other")).status_code == 404


def test_without_a_session_a_page_leads_to_where_the_code_is_entered(pages: Pages, house: House) -> None:
    ada = house.admit()
    for address in ("/me/data", of(ada), of(ada, "/name"), of(ada, "/withdrawn"), f"/me/files/{ada.receipt_id}/sheet"):
        answer = pages.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/me?closed=1")
    for address in (of(ada, "/withdrawal"), of(ada, "/name"), of(ada, "/answer"), of(ada, "/access-request")):
        answer = pages.post(address, {"name": "Eve"} if address.endswith("/name") else {})
        assert (answer.status_code, answer.json()["title"]) == (403, "session ended")
    unread = pages.client.post(of(ada, "/photos"), content=b"no form", headers=OWN)
    assert (unread.status_code, unread.json()["title"]) == (403, "session ended"), "before the body is read"
    assert house.sees(ada)
    assert "Enter the code again" in pages.text("/me?closed=1")


def test_a_session_lasts_15_minutes_since_it_was_used(pages: Pages, house: House) -> None:
    ada = house.admit()
    pages.open(ada)
    for _ in range(3):
        house.clock.move(minutes=14)
        assert pages.get("/me/data").status_code == 200
    house.clock.move(minutes=15)
    assert pages.get("/me/data").status_code == 303


def test_a_closed_session_is_gone_from_the_browser(pages: Pages, house: House) -> None:
    pages.open(house.admit())
    assert pages.post("/me/session/end").json() == {"next": "/me"}
    assert pages.get("/me/data").status_code == 303


def test_a_person_sees_and_changes_no_consent_of_another_key(pages: Pages, house: House) -> None:
    ada, eve = house.admit(), house.admit()
    pages.open(eve)
    answers = [
        pages.get(of(ada)),
        pages.get(of(ada, "/details")),
        pages.get(f"/me/files/{ada.receipt_id}/receipt.json"),
    ]
    answers += [pages.post(of(ada, "/withdrawal"), {}), pages.post(of(ada, "/name"), {"name": "Eve"})]
    answers += [pages.post(of(ada, "/answer")), pages.post(of(ada, "/access-request"))]
    assert {one.status_code for one in answers} == {404}
    assert house.sees(ada)
    assert ada.receipt_id not in pages.text("/me/data")


@pytest.mark.parametrize("address", ["/me/session", "/me/session/end", "/me/consents/{}/withdrawal"])
def test_a_page_of_another_site_cannot_do_it_for_the_person(pages: Pages, house: House, address: str) -> None:
    ada = house.admit()
    pages.open(ada)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = pages.post(address.format(ada.receipt_id), {"code": ada.code}, **headers)
        assert (answer.status_code, answer.json()["title"]) == (403, "cross site")
    assert house.sees(ada)


def test_wrong_codes_are_limited_and_right_ones_never(pages: Pages, house: House) -> None:
    pages.state.address_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    pages.state.log_reader_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    ada = house.admit()
    wrong = WithdrawalCode.generate(bytes).reveal()
    statuses = [pages.post("/me/session", {"code": one}).status_code for one in (wrong, "short", wrong, "x" * 400)]
    assert statuses == [404, 422, 429, 422]
    for _ in range(5):
        assert pages.open(ada).status_code == 200
        assert pages.get("/me/data").status_code == 200
    assert pages.post(of(ada, "/withdrawal"), {}).status_code == 200


def test_a_wrong_code_gets_one_answer_whoever_is_enrolled(pages: Pages, house: House) -> None:
    ada, gone = house.admit(), house.admit()
    house.withdraw(gone)
    house.site.changes.reissue_code(ada.receipt_id)
    codes = (WithdrawalCode.generate(bytes).reveal(), ada.code)  # one that never was, one that was replaced
    found = [pages.post("/me/session", {"code": code}).json() for code in codes]
    assert len({(one["type"], one["detail"]) for one in found}) == 1
    assert "set-cookie" not in pages.post("/me/session", {"code": codes[0]}).headers


def test_a_withdrawal_erases_and_the_pages_tell_the_certificate(pages: Pages, house: House) -> None:
    house.site.rights.recipients.add("lobby", "Payroll Ltd", contact="dpo@payroll.example")
    ada, other = house.admit(), house.admit()
    pages.open(ada)
    next_page = pages.post(of(ada, "/withdrawal"), {}).json()["next"]
    assert not house.sees(ada)
    assert house.sees(other)
    shown = pages.text(next_page)
    for line in (
        "You are forgotten",
        "The door stopped knowing you at 12:00:00",
        "“lobby” stopped",
        "traces looked for, 0 found",
        "No other program had you in memory",
        "Payroll Ltd was told, and has not answered yet",
        "Backups hold nothing that opens here",
    ):
        assert line in shown, line
    data = pages.get(f"/me/files/{ada.receipt_id}/certificate.json").content
    certificate = verify_certificate(data, house.site.verifier_key)
    assert certificate.certificate_id[:4] in shown
    assert "Certificate of erasure" in pages.text(f"/me/files/{ada.receipt_id}/certificate")
    house.site.rights.recipients.acknowledge(certificate.certificate_id, "Payroll Ltd", b"done")
    assert "Payroll Ltd confirmed that it erased too" in pages.text(next_page)
    # The same code, later; and twice does no harm.
    assert pages.open(ada).status_code == 200
    assert "We hold nothing about you under this receipt" in pages.text("/me/data")
    assert "Here is the certificate" in pages.text(of(ada))
    assert pages.post(of(ada, "/withdrawal"), {}).status_code == 200
    assert pages.get(of(ada, "/name")).headers["location"] == of(ada)
    assert pages.post(of(ada, "/name"), {"name": "Ada"}).status_code == 404


def test_a_pause_stops_matching_until_it_is_resumed_and_erases_nothing(pages: Pages, house: House) -> None:
    ada = house.admit()
    pages.open(ada)
    assert "Pause" in pages.text("/me/data")
    for _ in range(2):
        assert pages.post(of(ada, "/pause")).json() == {"next": of(ada)}
        assert not house.sees(ada)
    shown = pages.text("/me/data")
    assert "The door “lobby” is paused for you" in shown
    assert "Paused since 1 March 2099" in shown
    assert "Resume it first" in pages.text(of(ada, "/photos"))
    for _ in range(2):
        assert pages.post(of(ada, "/resume")).json() == {"next": of(ada)}
        assert house.sees(ada)
    pages.post(of(ada, "/pause"))
    pages.post(of(ada, "/withdrawal"), {})
    assert "You are forgotten" in pages.text(of(ada, "/withdrawn"))
    assert pages.post(of(ada, "/resume")).status_code == 404
    assert not house.sees(ada)


def test_an_old_code_tells_that_a_newer_consent_is_in_force(pages: Pages, house: House) -> None:
    key = SubjectKey.from_seed(b"\1" * 32)
    notice = house.site.notice("lobby")
    old = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=key)
    new = house.site.changes.renew(old.receipt.claims.receipt_id, notice, key=key).take_home
    pages.post("/me/session", {"code": old.qr_text()})
    shown = pages.text("/me/data")
    assert "This receipt is an old one" in shown
    assert "A newer consent of yours is in force" in shown
    newer = f"/me/consents/{new.receipt.claims.receipt_id}"
    assert newer in pages.get("/me/data").text
    assert "only you have the code" in pages.text(f"{newer}/receipt")
    assert pages.post(f"{newer}/withdrawal", {}).status_code == 200
    assert "We hold nothing about you under this receipt" in pages.text("/me/data")


def test_several_consents_of_one_key_are_a_list(pages: Pages, house: House) -> None:
    house.declare("lab")
    key = SubjectKey.from_seed(b"\1" * 32)
    homes = [
        house.site.give_consent(house.site.notice(zone), name="Ada", jurisdiction="FR", key=key)
        for zone in ("lobby", "lab")
    ]
    pages.post("/me/session", {"code": homes[0].qr_text()})
    shown = pages.text("/me/data")
    assert "What you agreed to" in shown
    assert "Open lobby" in shown
    assert "Open lab" in shown
    body = {"all_of_this_person": True}
    pages.post(f"/me/consents/{homes[1].receipt.claims.receipt_id}/withdrawal", body)
    assert house.site.status().zones[0].live_consents == house.site.status().zones[1].live_consents == 0


def test_the_name_is_corrected_and_a_name_that_is_none_is_refused(pages: Pages, house: House) -> None:
    ada = house.admit()
    pages.open(ada)
    assert pages.post(of(ada, "/name"), {"name": "Zoë <b>O'Neil</b>"}).status_code == 200
    answer = pages.get(of(ada, "/name?done=1"))
    assert "<b>O" not in answer.text
    assert "Zoë &lt;b&gt;O&#39;Neil&lt;/b&gt;" in answer.text
    for wrong in ("", "\u202eAda", "x" * 300):
        refused = pages.post(of(ada, "/name"), {"name": wrong})
        assert (refused.status_code, refused.json()["title"]) == (422, "input")


def test_the_file_with_everything_is_signed_and_has_neither_embedding_nor_older_visits(
    pages: Pages, house: House
) -> None:
    ada = house.admit()
    house.visit(ada)
    house.clock.move(days=8)
    house.visit(ada)
    pages.open(ada)
    data = pages.post(of(ada, "/answer")).content
    statement = verify_answer(data, house.site.verifier_key)
    with zipfile.ZipFile(io.BytesIO(data)) as answer:
        record = answer.read("consent-1/record.jsonld").decode()
        assert [one for one in answer.namelist() if "embedding" in one] == []
        page = answer.read("index.html").decode()
    assert "2099-03-09" in record
    assert '2099-03-01T12:00:00Z",\n        "kind"' not in record
    assert record.count('"matched_at"') == 1
    assert statement["left_out"] == {"visits_before": "2099-03-02T12:00:00Z"}
    assert "The desk hands you the whole answer" in page
    assert statement["searched"][0]["rows"]["passage"] == 2


def test_the_whole_answer_is_asked_for_once_and_the_page_says_until_when(pages: Pages, house: House) -> None:
    ada = house.admit()
    pages.open(ada)
    for _ in range(2):
        assert pages.post(of(ada, "/access-request")).status_code == 200
    (request,) = house.site.rights.requests()
    shown = pages.text(of(ada, "/download"))
    assert request.request_id in shown
    assert "The desk has the whole answer for you by 1 April 2099" in shown


def test_the_take_home_is_given_again_to_the_holder_of_the_code_only(pages: Pages, house: House) -> None:
    ada = house.admit()
    pages.open(ada)
    files = f"/me/files/{ada.receipt_id}"
    again = TakeHome.parse(pages.get(f"{files}/receipt.json").content)
    assert again.receipt == ada.take_home.receipt
    assert again.qr_text() == ada.take_home.qr_text()
    sheet = pages.get(f"{files}/sheet")
    assert ada.code in sheet.text
    assert "script" not in sheet.headers["content-security-policy"]
    pages.post("/me/session", {"receipt": ada.take_home.receipt.token})
    assert pages.get(f"{files}/receipt.json").status_code == 404
    assert "only you have the code" in pages.text(of(ada, "/receipt"))
    assert pages.get("/me/data").status_code == 200


def test_a_changed_row_keeps_nobody_from_withdrawing(pages: Pages, house: House) -> None:
    ada = house.admit()
    home = house.site.home
    with closing(sqlite3.connect(home / "volens.db", isolation_level=None)) as other:
        other.execute("UPDATE live_consent SET expires_at = '2099-03-02T00:00:00Z'")
    assert pages.open(ada).status_code == 200
    assert "Closed: the record is damaged" in pages.text("/me/data")
    for part in ("/photos", "/renewal"):
        assert f'href="{of(ada, part)}"' not in pages.get("/me/data").text
        assert pages.get(of(ada, part)).headers["location"] == of(ada)
    assert pages.post(of(ada, "/withdrawal"), {}).status_code == 200
    assert "You are forgotten" in pages.text(of(ada, "/withdrawn"))


def test_a_withdrawal_that_cannot_be_written_says_what_is_promised_and_is_finished_later(
    pages: Pages, house: House
) -> None:
    ada = house.admit()
    pages.open(ada)
    pages.state.stop_keeper.start()
    with lock_timeout(0.05), closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = pages.post(of(ada, "/withdrawal"), {})
        assert answer.status_code == 202
        assert not house.sees(ada)
        shown = pages.text(answer.json()["next"])
        assert "Stopped, and not written down yet" in shown
        assert "Not promised: if the program ends before that, your consent is in force again" in shown
        assert "data-live" in pages.get(answer.json()["next"]).text
        assert pages.get(of(ada)).headers["location"] == of(ada, "/withdrawn")
        other.execute("ROLLBACK")
    until = time.monotonic() + PATIENCE_S
    while "You are forgotten" not in (shown := pages.text(of(ada, "/withdrawn"))) or "Certificate" not in shown:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "data-live" not in pages.get(of(ada, "/withdrawn")).text


def test_a_pause_that_cannot_be_written_stops_matching_and_the_page_says_what_is_promised(
    pages: Pages, house: House
) -> None:
    ada = house.admit()
    pages.open(ada)
    pages.state.stop_keeper.start()
    with lock_timeout(0.05), closing(sqlite3.connect(house.site.home / "volens.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = pages.post(of(ada, "/pause"))
        assert (answer.status_code, answer.json()["title"]) == (503, "restriction pending")
        assert not house.sees(ada)
        assert "Paused, and not written down yet" in pages.text(of(ada))
        assert f'action="{of(ada, "/resume")}"' in pages.get(of(ada)).text
        other.execute("ROLLBACK")
    until = time.monotonic() + PATIENCE_S
    while "is paused for you" not in (shown := pages.text(of(ada))):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "not written down yet" not in shown


def test_no_line_of_the_log_and_no_address_has_the_code(
    pages: Pages, house: House, log: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    ada = house.admit()
    pages.open(ada)
    pages.post("/me/session", {"code": f"{ada.code}x"})
    pages.get("/me/data")
    pages.get(f"/me/files/{ada.receipt_id}/sheet")
    answer = pages.post(of(ada, "/withdrawal"), {})
    plain = ada.code.replace("-", "")
    for text in (log.getvalue(), caplog.text, str(pages.client.cookies), str(answer.headers)):
        assert ada.code not in text
        assert plain not in text
    assert log.getvalue().count("open_my_data") == 2
    assert ada.receipt_id not in log.getvalue()


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_every_page_is_written_in_each_language(pages: Pages, house: House, language: str) -> None:
    ada = house.admit()
    pages.open(ada)
    addresses = [
        "/me",
        "/me/data",
        *(of(ada, f"/{part}") for part in ("details", "name", "photos", "download", "receipt")),
    ]
    for address in addresses:
        answer = pages.get(f"{address}?lang={language}")
        assert answer.status_code == 200
        assert f'<html lang="{language}">' in answer.text
        assert "&lt;time" not in answer.text
    pages.post(of(ada, "/withdrawal"), {})
    for address in (of(ada), of(ada, "/withdrawn"), f"/me/files/{ada.receipt_id}/certificate"):
        answer = pages.get(f"{address}?lang={language}")
        assert f'lang="{language}"' in answer.text
        assert "&lt;time" not in answer.text


def test_photos_of_another_face_are_refused_without_a_score(
    pages: Pages, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.state.address_limiter = RateLimiter(0.001, 2, lambda: 0.0)
    ada = house.admit()
    pages.open(ada)

    def other_face(*_: object, **__: object) -> None:
        raise DifferentPeopleError("comparison score 0.31 with the reference, expected 0.45 or more")

    monkeypatch.setattr(ConsentChanges, "photos", other_face)
    files = [("photos", ("a.jpg", b"x", "image/jpeg"))]
    answers = [pages.client.post(of(ada, "/photos"), files=files, headers=OWN) for _ in range(3)]
    assert [one.status_code for one in answers] == [422, 422, 429]
    assert answers[0].json()["title"] == "different people"
    assert "0.31" not in answers[0].text


def test_where_the_person_holds_the_key_no_photo_is_decoded_without_it(pages: Pages, house: House) -> None:
    for zone, custody, field in (("vault", "subject_key", "secret"), ("archive", "badge", "badge")):
        house.declare(zone, custody=custody)
        ada, other = house.admit(zone), house.admit(zone)
        pages.open(ada)
        assert 'id="own-half"' in pages.get(of(ada, "/photos")).text
        wrong = other.badge or (other.take_home.secret.reveal().encode() if other.take_home.secret else b"")
        # The site of this test has no models: a photo that is looked at would end in another error.
        photos = [("photos", ("a.jpg", b"x", "image/jpeg"))] * 3
        for files, status in ((photos, 422), ([*photos, (field, ("held", wrong, "text/plain"))], 403)):
            answer = pages.client.post(of(ada, "/photos"), files=files, headers=OWN)
            assert answer.status_code == status, answer.text


def test_a_picture_of_the_camera_is_looked_at_for_the_person_alone(pages: Pages, house: House) -> None:
    ada, eve = house.admit(), house.admit()
    pages.open(eve)
    assert pages.client.post(of(ada, "/look"), content=b"x", headers=OWN).status_code == 404
    assert pages.client.post(of(eve, "/look?pose=other"), content=b"x", headers=OWN).status_code == 422
    assert pages.client.post(of(eve, "/look"), content=b"no picture", headers=OWN).json()["title"] == "image"
    house.site.changes.restrict(eve.receipt_id)
    assert pages.client.post(of(eve, "/look"), content=b"x", headers=OWN).status_code == 404


def test_a_person_signs_again_with_their_own_key_and_gets_a_new_code(pages: Pages, house: House) -> None:
    key, notice = SubjectKey.from_seed(b"\2" * 32), house.site.notice("lobby")
    terms = {"form": SignatureForm.PERSON_KEY, "jurisdiction": "FR", "valid_days": 10}
    offer = house.site.offer_consent(notice, public_key=key.public, **terms)
    old = house.site.accept_consent(notice, offer.sign(key), name="Ada")
    person = house.enroll(Person(old, house.face()))
    pages.post("/me/session", {"code": old.qr_text()})
    assert "goes on for 90 days from today" in pages.text(of(person, "/renewal"))

    agreed = {"notice_sha256": notice.sha256}
    offered = pages.post(of(person, "/renewal/offer"), agreed).json()
    assert offered["algorithm"] == "Ed25519"
    signed = ReceiptOffer(offered["document"].encode()).sign(key).decode()
    next_page = pages.post(of(person, "/renewal"), {"signed": signed}).json()["next"]

    assert house.sees(person), "matching did not stop"
    assert "Save the new receipt now; it has a new code" in pages.text(next_page)
    files = next_page.replace("consents", "files").partition("?")[0].removesuffix("/receipt")
    new = TakeHome.parse(pages.get(f"{files}/receipt.json").content)
    assert new.qr_text() != old.qr_text()
    assert pages.post("/me/session", {"code": new.qr_text()}).status_code == 200
    assert "In force until 30 May 2099" in pages.text("/me/data")
    assert pages.get(of(person, "/renewal")).headers["location"] == of(person)
    assert pages.post(of(person, "/renewal"), {"signed": signed}).status_code == 404


def test_a_renewal_that_another_key_signed_is_refused(pages: Pages, house: House) -> None:
    key, other, notice = SubjectKey.from_seed(b"\2" * 32), SubjectKey.from_seed(b"\3" * 32), house.site.notice("lobby")
    terms = {"form": SignatureForm.PERSON_KEY, "jurisdiction": "FR"}
    old = house.site.accept_consent(
        notice, house.site.offer_consent(notice, public_key=key.public, **terms).sign(key), name="Ada"
    )
    pages.post("/me/session", {"code": old.qr_text()})
    forged = house.site.offer_consent(notice, public_key=other.public, **terms).sign(other).decode()
    address = f"/me/consents/{old.receipt.claims.receipt_id}/renewal"
    assert pages.post(address, {"signed": forged}).status_code == 403
    assert pages.post(f"{address}/offer", {"notice_sha256": "0" * 64}).status_code == 403


def test_what_was_signed_at_the_desk_is_not_signed_again_with_a_new_key(pages: Pages, house: House) -> None:
    ada, notice = house.admit(), house.site.notice("lobby")
    pages.open(ada)
    assert "Only that key can sign again" in pages.text(of(ada, "/renewal"))
    new = SubjectKey.from_seed(b"\4" * 32)
    offered = pages.post(of(ada, "/renewal/offer"), {"notice_sha256": notice.sha256}).json()
    # Signed by another key than the one it names, and made out to that other key: the code alone agrees to nothing.
    forged = new.sign(offered["document"].encode(), "volens-receipt+jws")
    assert pages.post(of(ada, "/renewal"), {"signed": forged}).status_code == 422
    terms = {"form": SignatureForm.PERSON_KEY, "jurisdiction": "FR"}
    made_out = house.site.offer_consent(notice, public_key=new.public, **terms).sign(new).decode()
    assert pages.post(of(ada, "/renewal"), {"signed": made_out}).status_code == 403
    assert house.sees(ada)


def test_where_the_person_holds_a_secret_a_renewal_needs_the_old_half_and_a_new_one(pages: Pages, house: House) -> None:
    house.declare("vault", custody="subject_key")
    key, notice = SubjectKey.from_seed(b"\2" * 32), house.site.notice("vault")
    old = house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=key)
    person = house.enroll(Person(old, house.face()))
    assert old.secret is not None
    pages.open(person)
    commitment = old.secret.commitment(person.receipt_id).hex()
    assert commitment in pages.get(of(person, "/renewal")).text
    offered = pages.post(of(person, "/renewal/offer"), {"notice_sha256": notice.sha256}).json()
    signed = ReceiptOffer(offered["document"].encode()).sign(key).decode()
    with PersonSecret(b"\5" * 32) as made, PersonSecret(b"\6" * 32) as other:
        held, wrong, new = old.secret.reveal(), other.reveal(), made.reveal()
        for body, status in (
            ({}, 422),
            ({"secret": held}, 422),
            ({"new_secret": new}, 422),
            ({"secret": wrong, "new_secret": new}, 403),
            ({"secret": held, "commitment": "0" * 64}, 422),
            ({"secret": held, "new_secret": "VOLENS-SECRET:A"}, 422),
        ):
            answer = pages.post(of(person, "/renewal"), {"signed": signed, **body})
            assert answer.status_code == status, body
            assert held[14:] not in answer.text
        done = pages.post(of(person, "/renewal"), {"signed": signed, "secret": held, "new_secret": new})
        assert done.status_code == 200, done.text
        assert done.json().keys() == {"next", "receipt_id"}
        renewed = house.site.changes.in_force([done.json()["receipt_id"]]).verified()
        new_person = Person(TakeHome(renewed.unverified), person.face)
        assert house.verify(new_person, made).match is not None
        with pytest.raises(RefusedError):
            house.verify(new_person, old.secret)


def test_a_renewal_hands_the_new_badge_to_the_browser(pages: Pages, house: House) -> None:
    house.declare("vault", custody="badge")
    key, notice = SubjectKey.from_seed(b"\2" * 32), house.site.notice("vault")
    person = house.enroll(Person(house.site.give_consent(notice, name="Ada", jurisdiction="FR", key=key), house.face()))
    assert person.badge is not None
    pages.open(person)
    offered = pages.post(of(person, "/renewal/offer"), {"notice_sha256": notice.sha256}).json()
    signed = ReceiptOffer(offered["document"].encode()).sign(key).decode()
    for badge, status in ((None, 422), ("?", 422), (base64.b64encode(b"no badge").decode(), 422)):
        assert pages.post(of(person, "/renewal"), {"signed": signed, "badge": badge}).status_code == status
    held = base64.b64encode(person.badge).decode()
    done = pages.post(of(person, "/renewal"), {"signed": signed, "badge": held}).json()
    fresh = Badge.parse(base64.b64decode(done["badge"]["file"]))
    assert fresh.receipt_id == done["receipt_id"]
    assert all(one.startswith("data:image/png;base64,") for one in done["badge"]["qrs"])
    renewed = house.site.changes.in_force([fresh.receipt_id]).verified()
    assert house.verify(Person(TakeHome(renewed.unverified), person.face), fresh).match is not None
