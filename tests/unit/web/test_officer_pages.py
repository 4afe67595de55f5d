"""Pages of the privacy officer over HTTP: what they show, and that one officer alone erases no cohort."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from house import House
from patience import PATIENCE_S
from staff_sign_in import Member, add_member, own_headers, sign_in
from starlette.testclient import TestClient

from volens.consent import format_time
from volens.service.http import AppState, application
from volens.service.sample_notice import publish_sample_notice
from volens.service.web.officer_pages import RequestClock
from volens.service.web.web_routes import add_pages
from volens.store.programs import MessageKind, Role

SITE = "https://doors.example"
HTML = {"Accept": "text/html"}
UNKNOWN = {"kind": "access", "unknown": True}
PAGES = ("", "/requests", "/requests?closed=true", "/requests/new", "/erasures", "/orders", "/orders/new")


class Officer:
    """A privacy officer with a browser of their own."""

    def __init__(self, state: AppState, label: str) -> None:
        app = application(state, add_pages=add_pages)
        self.client = TestClient(app, base_url=SITE, follow_redirects=False)
        self.member: Member = add_member(state.site, Role.PRIVACY_OFFICER, label=label)
        assert sign_in(self.client, self.member).status_code == 200
        self._own = own_headers(state.site.defaults.public_url())

    def page(self, path: str) -> str:
        answer = self.client.get(f"/officer{path}", headers=HTML)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, body: object = None, status: int = 200) -> dict[str, object]:
        answer = self.client.post(f"/v1{path}", json=body, headers=self._own)
        assert answer.status_code == status, answer.text
        found: dict[str, object] = answer.json()
        return found

    def job(self, body: object) -> dict[str, object]:
        """Run a job, and return how it ended."""
        job = self.post("/jobs", body, 202)
        until = time.monotonic() + PATIENCE_S
        while job["state"] == "running" and time.monotonic() < until:
            time.sleep(0.02)
            job = self.client.get(f"/v1/jobs/{job['job_id']}", headers=self._own).json()
        return job


@pytest.fixture
def state(house: House, tmp_path: Path) -> Iterator[AppState]:
    house.site.defaults.set(public_url=SITE)
    (tmp_path / "orders").mkdir()
    state = AppState(house.site, model_threads=1, waiting=4, orders_folder=tmp_path / "orders")
    yield state
    state.close()


@pytest.fixture
def ada(state: AppState) -> Officer:
    return Officer(state, "Ada")


@pytest.fixture
def ben(state: AppState) -> Officer:
    return Officer(state, "Ben")


@pytest.mark.parametrize("path", [*PAGES, "/recipients", "/papers"])
def test_a_page_is_for_signed_in_officers_only(house: House, ada: Officer, state: AppState, path: str) -> None:
    house.admit()
    assert "Ada" in ada.page(path)
    client = TestClient(application(state, add_pages=add_pages), base_url=SITE, follow_redirects=False)
    assert client.get(f"/officer{path}", headers=HTML).status_code == 303
    sign_in(client, add_member(state.site, Role.DESK, label="desk"))
    assert client.get(f"/officer{path}", headers=HTML).status_code == 403


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        ({"days": 0}, ("1 request is open, and none ends this week.", "31 days left")),
        ({"days": 27}, ("1 request ends this week.", "4 days left")),
        ({"days": 30, "hours": 23}, ("1 request ends this week.", "1 day left")),
        ({"days": 31, "seconds": 1}, ("1 request is overdue.", "1 day overdue")),
        ({"days": 33}, ("1 request is overdue.", "2 days overdue")),
    ],
)
def test_the_overview_tells_the_days_that_are_left(
    house: House, state: AppState, moved: dict[str, float], words: tuple[str, str]
) -> None:
    house.site.rights.open("access", [])
    house.clock.move(**moved)
    page = Officer(state, "Ada").page("")
    assert "Oldest: access." in page
    for one in words:
        assert one in page


def test_a_request_past_its_day_counts_whole_days(house: House) -> None:
    opened = house.site.rights.open("access", [])
    assert RequestClock.at(opened, opened.due_at).days == 0
    assert RequestClock.at(opened, opened.due_at - timedelta(seconds=1)).days == 1
    assert RequestClock.at(opened, opened.due_at + timedelta(days=2)).days == -2


def test_a_request_shows_the_steps_that_it_allows(house: House, ada: Officer) -> None:
    person = house.admit()
    unknown = ada.post("/requests", UNKNOWN, 201)["request_id"]
    erasure = ada.post("/requests", {"kind": "erasure", "subject_id": person.subject_id}, 201)["request_id"]
    page = ada.page(f"/requests/{unknown}")
    for words in ("Make and download the answer", "Name or number from the letter", "Extend by two months"):
        assert words in page
    assert "Erase everything" not in page
    page = ada.page(f"/requests/{erasure}")
    assert "Erase everything about this person" in page
    assert "download the answer" not in page
    ada.post(f"/requests/{erasure}/extension", {"because": "complex"})
    page = ada.page(f"/requests/{erasure}")
    assert "because it is complex" in page
    assert "Tell the person why (GDPR 12(3))" not in page
    ada.post(f"/requests/{erasure}/erasure")
    page = ada.page(f"/requests/{erasure}")
    assert "Closed: carried out" in page
    assert "<form data-post" not in page
    assert str(erasure)[:8] in ada.page("/requests?closed=true")
    assert str(erasure)[:8] not in ada.page("/requests")


def test_an_erasure_is_shown_step_by_step_with_its_certificate(house: House, ada: Officer) -> None:
    person = house.admit()
    house.site.rights.recipients.add("lobby", "Door panels", contact="panels@example.org")
    erased = house.withdraw(person)
    assert person.receipt_id in ada.page("/erasures")
    page = ada.page(f"/erasures/{person.receipt_id}")
    for words in ("Key destroyed", "All files searched for traces", "Door panels has not acknowledged", "done at"):
        assert words in page
    assert f"/officer/certificates/{erased.certificate_id}" in page
    sheet = ada.client.get(f"/officer/certificates/{erased.certificate_id}", headers=HTML)
    assert sheet.status_code == 200
    recipients = ada.page("/recipients")
    assert "panels@example.org" in recipients
    assert "Ada Canary" not in page + recipients
    house.site.rights.recipients.acknowledge(erased.certificate_id, "Door panels", b"by letter")
    assert "All recipients have answered." in ada.page("/recipients")
    assert ada.client.get(f"/officer/erasures/{house.admit().receipt_id}", headers=HTML).status_code == 404


def test_a_message_that_failed_is_tried_again_at_once(house: House, ada: Officer) -> None:
    site, person = house.site, house.admit()
    site.rights.recipients.add("lobby", "Door panels")
    site.programs.endpoints.add("lobby", "Door panels", url="https://panels.example/volens")
    house.withdraw(person)
    outbox = site.programs.outbox
    again_at = house.clock() + timedelta(hours=5)
    (message,) = outbox.claim(10)
    while message.kind is not MessageKind.SUBJECT_ERASED:
        outbox.delivered(message)
        (message,) = outbox.claim(10)
    outbox.failed(message, "answered 500", again_at)
    page = ada.page("/recipients")
    assert "answered 500" in page
    assert format_time(again_at) in page
    ada.post(f"/messages/{message.message_id}/retry")
    (waiting,) = outbox.list()
    assert (waiting.due_at, waiting.attempts) == (house.clock(), 1)
    ada.post(f"/messages/msg_{'0' * 32}/retry", status=404)


def test_papers_that_are_older_than_the_configuration_are_listed(house: House, ada: Officer) -> None:
    site = house.site
    assert "no check finds a problem" in ada.page("/papers")
    house.clock.move(minutes=5)
    site.rights.recipients.add("lobby", "Door panels")
    site.clocks.shorten_retention("lobby", 20)
    site.zones.rename("lobby", "Entrance")
    site.zones.pause("lobby")
    house.clock.move(minutes=5)
    site.zones.rename("lobby", "Main door")
    page = ada.page("/papers")
    for words in ("older than its recipient Door panels", "older than the shorter retention", "new name"):
        assert words in page
    publish_sample_notice(site, "lobby", more="A new notice.")
    publish_sample_notice(site, "lobby", "fr", more="Une notice.")
    page = ada.page("/papers")
    assert "in language fr has an older version" in page
    assert "older than its recipient" not in page
    site.add_zone("vault", custody="operator", justification="safe", alternative="a key", retention_days=3)
    assert "Zone vault has no notice" in ada.page("/papers")


def test_a_signed_paper_that_is_stale_is_listed_and_counted(house: House, ada: Officer, tmp_path: Path) -> None:
    house.site.papers.make("record", "lobby", "FR", tmp_path / "papers")
    assert "no check finds a problem" in ada.page("/papers")
    house.site.declarations.declare({"dpo": "Dana Doe"})
    page = ada.page("/papers")
    assert "The paper record of zone" in page
    assert "no check finds a problem" not in page
    assert "2 things to look at" in ada.page(""), "the notice does not name the officer either"


def test_consents_that_outlive_their_clock_are_swept_from_the_page(house: House, state: AppState) -> None:
    house.admit()
    house.clock.move(days=200)
    officer = Officer(state, "Ada")
    assert "because no sweep ran" in officer.page("/papers")
    assert officer.job({"kind": "sweep"})["state"] == "done"
    assert "because no sweep ran" not in officer.page("/papers")


def test_a_dry_run_changes_nothing_and_says_what_is_wrong(house: House, ada: Officer) -> None:
    house.admit()
    house.admit(jurisdiction="DE")
    before = house.site.status().log_size
    page = ada.page("/orders/new?zone=lobby&jurisdiction=FR&before=2099-04-01&notice_version=1")
    assert "1 person, 1 consent, 1 face reference" in page
    assert "Ask a second officer to approve" in page
    assert "No one is selected." in ada.page("/orders/new?jurisdiction=IT")
    for query in ("zone=loby", "jurisdiction=XX1", "before=soon", "notice_version=x", "notice_version=0"):
        assert "This is no selection that can be counted." in ada.page(f"/orders/new?{query}")
    assert house.site.status().log_size == before


def test_an_order_is_carried_out_after_another_officer_approved_it(house: House, ada: Officer, ben: Officer) -> None:
    house.site.cohorts.require_operators(1)
    meant, other = house.admit(jurisdiction="FR"), house.admit(jurisdiction="DE")
    order = ada.post("/orders", {"jurisdiction": "FR"}, 201)
    path = f"/orders/{order['cohort_id']}"
    new = {"kind": "erase", "order": order["cohort_id"]}
    assert "another officer approves it" in ada.page(path)
    assert "Approve this order" not in ada.page(path)
    assert "1 waits for a second officer" in ben.page("")

    refused = ada.post(f"{path}/approval", status=403)
    assert "you proposed this order yourself" in str(refused["detail"])
    for officer in (ada, ben):
        failed = officer.job(new)
        assert (failed["state"], house.sees(meant)) == ("failed", True)
    alone = ada.post("/orders/plans", {"jurisdiction": "FR"}, 201)
    for plan in (alone["plan"], order["plan"]):
        ada.post("/jobs", {"kind": "erase", "plan": plan}, 403)

    assert "Approve this order" in ben.page(path)
    assert ben.post(f"{path}/approval")["approved_by"] == ben.member.credential.credential_id
    ben.post(f"{path}/approval", status=403)
    assert "Approved by Ben" in ada.page(path)
    assert "Carry out this order" in ada.page(path)
    done = ada.job(new)
    assert done["state"] == "done", done
    assert (house.sees(meant), house.sees(other)) == (False, True)
    page = ada.page(path)
    assert "Carried out: 1 certificate" in page
    assert f"/v1/jobs/{done['job_id']}/dossier" in page
    house.site.log.verify()


def test_operators_sign_a_proposed_plan_too_if_the_site_requires_it(house: House, ada: Officer, ben: Officer) -> None:
    meant = house.admit(jurisdiction="FR")
    order = ada.post("/orders", {"jurisdiction": "FR"}, 201)
    ben.post(f"/orders/{order['cohort_id']}/approval")
    assert "signatures of 2 operators" in ada.page(f"/orders/{order['cohort_id']}")
    plan = ada.client.get(f"/officer/orders/{order['cohort_id']}/plan.json")
    assert plan.text == order["plan"]
    failed = ada.job({"kind": "erase", "order": order["cohort_id"]})
    assert (failed["state"], house.sees(meant)) == ("failed", True)


def test_a_plan_that_expired_is_not_approved(house: House, state: AppState, ada: Officer) -> None:
    house.admit()
    order = ada.post("/orders", {"zone": "lobby"}, 201)
    house.clock.move(days=7, seconds=1)
    late = Officer(state, "Cleo")
    assert "has expired" in late.page(f"/orders/{order['cohort_id']}")
    assert "expired" in str(late.post(f"/orders/{order['cohort_id']}/approval", status=403)["detail"])
    late.post(f"/orders/{'0' * 32}/approval", status=404)
