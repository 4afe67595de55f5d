"""The operator's pages and the operations behind their buttons: what is shown, what changes, and what is logged."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from house import House
from staff_sign_in import Member, add_member, own_headers, sign_in, signed_in
from starlette.testclient import TestClient

from volens import Site
from volens.consent import Purpose
from volens.service.http import AppState, application
from volens.service.sample_notice import publish_sample_notice
from volens.service.web.operator_pages import site_facts
from volens.service.web.operator_problems import find_problems
from volens.service.web.web_routes import add_pages
from volens.store.programs import DecisionCount, DoorReport, Role
from volens.store.programs.staff import StaffMember

SITE = "https://doors.example"
PAGES = ("/operator", "/operator/zones", "/operator/refusals", "/operator/health", "/operator/keys", "/operator/staff")


@pytest.fixture
def state(house: House) -> Iterator[AppState]:
    house.site.defaults.set(public_url=SITE)
    state = AppState(house.site, model_threads=1, waiting=4)
    yield state
    state.close()


@pytest.fixture
def client(state: AppState) -> TestClient:
    return TestClient(application(state, add_pages=add_pages), base_url=SITE, follow_redirects=False)


@pytest.fixture
def operator(house: House, client: TestClient) -> Member:
    return signed_in(client, house.site, Role.OPERATOR)


@pytest.fixture
def headers(house: House) -> dict[str, str]:
    party = house.site.defaults.public_url()
    assert party is not None
    return own_headers(party)


def kinds(state: AppState) -> list[str]:
    return [one.kind for one in find_problems(site_facts(state))]


@pytest.mark.parametrize("path", PAGES)
def test_only_an_operator_sees_a_page_and_no_name_is_on_it(house: House, client: TestClient, path: str) -> None:
    person = house.admit("lobby")
    assert client.get(path, headers={"Accept": "text/html"}).headers["Location"].startswith("/staff?next=")
    assert client.get(path).status_code == 401, "a script cannot follow to the sign-in"
    signed_in(client, house.site, Role.DESK)
    assert client.get(path).status_code == 403
    signed_in(client, house.site, Role.OPERATOR)
    answer = client.get(path)
    assert answer.status_code == 200
    assert "Canary" not in answer.text
    assert person.receipt_id not in answer.text


def test_a_site_without_problems_is_said_in_one_line(house: House, client: TestClient, operator: Member) -> None:
    del operator
    publish_sample_notice(house.site, "lobby", more="We compare your face.")
    with house.site.installation.store.write() as tx:
        tx.log("backup.begun", {"with_keyring": 0})
    text = client.get("/operator").text
    assert "Nothing needs you now." in text
    assert 'id="problems"' not in text


def test_a_node_whose_clock_is_wrong_is_shown(
    client: TestClient, house: House, state: AppState, operator: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    del operator
    house.site.feed.follow()
    found = house.site.fleet()
    node = replace(found.nodes[0], offset_ms=-9_500, uncertainty_ms=4)
    monkeypatch.setattr(Site, "fleet", lambda _site: replace(found, nodes=(node,)))
    assert "node_clock" in kinds(state)
    overview = client.get("/operator").text
    assert f"The clock of the node {node.process_id} differs from that of its database server." in overview
    text = client.get("/operator/health").text
    assert "-9.500 s ± 0.004 s" in text
    assert "clock is wrong" in text


def test_each_problem_of_the_site_is_found(house: House, state: AppState) -> None:
    assert "no_backup" in kinds(state)
    house.site.zones.pause("lobby")
    assert "paused" in kinds(state)
    house.declare("attic")
    house.site.add_zone("cellar", custody="subject_key", justification="x", alternative="a badge", retention_days=30)
    assert "no_notice" in kinds(state)
    house.site.defaults.set(jurisdiction="FR")
    assert kinds(state).count("gate") == 2, "the works agreement and the impact assessment of the cellar"
    house.site.programs.credentials.issue(label="old door", role=Role.DOOR, zone="lobby", valid_days=20)
    add_member(house.site, Role.DESK)
    assert not {"door_silent", "door_clock", "versions", "certificate"} & set(kinds(state))
    silent = DoorReport("local:lobby/door", house.site.now() - timedelta(hours=1), version="0", purpose="lobby")
    until = house.site.now() + timedelta(days=3)
    wrong = DoorReport("local:lobby/side", house.site.now(), None, "lobby", "1", 60_000, 5, until)
    house.site.programs.doors.record([silent, wrong])
    assert {"door_silent", "door_clock", "versions", "certificate"} <= set(kinds(state))
    assert kinds(state).count("credential_expires") == 1
    assert "member_expires" not in kinds(state)
    house.site.keys.schedule(1)
    house.clock.move(days=9)
    assert "rotation_overdue" in kinds(state)
    house.admit("attic")
    house.clock.move(days=120)
    assert kinds(state)[0] == "overdue", "a promise to people stands first"


def test_a_closed_gate_is_a_question_and_its_command(house: House, client: TestClient, operator: Member) -> None:
    del operator
    house.site.defaults.set(jurisdiction="FR")
    house.site.declarations.declare_zone("lobby", {"works_agreement": "2099-04-01", "dpia": ""})
    text = re.sub(r"\s+", " ", client.get("/operator?lang=de").text)
    assert "lobby ist für Menschen unter dem Recht FR nicht geöffnet: Eine Antwort fehlt." in text
    assert "Datenschutz-Folgenabschätzung für diese Zone abgeschlossen? (GDPR 35(1)" in text
    assert "volens declare zone lobby dpia YYYY-MM-DD" in text
    assert "1. April 2099</time>, nach dem erklärten Datum" in text


def test_a_worse_alternative_is_said_beside_its_numbers(house: House, client: TestClient, operator: Member) -> None:
    del operator
    facts = {"face_wait_s": "3", "alternative_wait_s": "12", "alternative_cost": "5 EUR for the badge"}
    house.site.declarations.declare_zone("lobby", facts)
    house.admit()
    house.site.offers.refuse("lobby")
    text = re.sub(r"\s+", " ", client.get("/operator/zones").text)
    said_no = 'People who said no</th><td data-label="Face">\u2013</td><td data-label="Other way">1</td>'
    assert said_no in text
    assert "people wait 9 s longer, so a yes is hardly free." in text
    assert "it costs the person something, so a yes is hardly free." in text
    house.site.declarations.declare_zone("lobby", {"alternative_wait_s": "3", "alternative_cost": "nothing"})
    assert "hardly free" not in client.get("/operator/zones").text


def test_a_backup_older_than_a_week_is_a_problem(house: House, state: AppState) -> None:
    with house.site.installation.store.write() as tx:
        tx.log("backup.begun", {"with_keyring": 0})
    assert not {"no_backup", "old_backup"} & set(kinds(state))
    house.clock.move(days=8)
    assert "old_backup" in kinds(state)


def test_a_zone_is_renamed_paused_and_resumed(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    del operator
    renamed = client.put("/v1/zones/lobby/title", json={"title": "Lobby East"}, headers=headers)
    assert renamed.json()["title"] == "Lobby East"
    for wanted in ("paused", "in_use"):
        assert client.put("/v1/zones/lobby/state", json={"state": wanted}, headers=headers).json()["state"] == wanted
        assert house.site.zones.get("lobby").state.value == wanted
    assert client.put("/v1/zones/lobby/state", json={"state": "removed"}, headers=headers).status_code == 422
    assert "Lobby East" in client.get("/operator/zones").text
    strict = client.put("/v1/zones/lobby/fpir", json={"fpir": "0.01%"}, headers=headers)
    assert (strict.status_code, strict.json()["fpir"]) == (200, "0.01%")
    assert '<option value="0.01%" selected>' in client.get("/operator/zones").text
    assert client.put("/v1/zones/lobby/fpir", json={"fpir": "5%"}, headers=headers).status_code == 422
    asked = client.put("/v1/zones/lobby/trigger", json={"trigger": "request"}, headers=headers)
    assert (asked.status_code, asked.json()["trigger"]) == (200, "request")
    assert '<option value="request" selected>' in client.get("/operator/zones").text
    unsaid = client.put("/v1/zones/lobby/trigger", json={"trigger": "passing"}, headers=headers)
    assert (unsaid.status_code, "does not say so" in unsaid.json()["detail"]) == (403, True)
    asking = client.put("/v1/zones/lobby/liveness", json={"liveness": "challenge"}, headers=headers)
    assert (asking.status_code, asking.json()["liveness"]) == (200, "challenge")
    assert '<option value="challenge" selected>people turn the head</option>' in client.get("/operator/zones").text
    lent = client.put("/v1/zones/lobby/lease", json={"lease_seconds": 60}, headers=headers)
    assert (lent.status_code, lent.json()["lease_seconds"]) == (200, 60)
    assert client.put("/v1/zones/lobby/lease", json={"lease_seconds": 901}, headers=headers).status_code == 422
    assert client.put("/v1/zones/lobby/liveness", json={"liveness": "yes"}, headers=headers).status_code == 422


def test_another_site_cannot_press_a_button_for_the_operator(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    del operator
    foreign = {**headers, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert client.put("/v1/zones/lobby/state", json={"state": "paused"}, headers=foreign).status_code == 403
    assert house.site.zones.get("lobby").state.value == "in_use"


def test_a_kiosk_is_linked_shown_and_ended(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    made = client.post("/v1/zones/lobby/kiosks", json={"label": "left door"}, headers=headers)
    link = made.json()["link"]
    assert link.startswith(f"{SITE}/kiosk/lobby#volens_")
    assert len(made.json()["qr"]) == len(made.json()["qr"][0]) >= 21
    page = client.get("/operator/zones").text
    assert "left door" in page
    assert link.partition("#")[2] not in page, "a link is shown once"
    credential = made.json()["credential"]
    assert [one["credential"] for one in client.get("/v1/credentials", headers=headers).json()] == [credential]
    for _ in range(2):
        assert client.delete(f"/v1/credentials/{credential}", headers=headers).status_code == 204
    assert client.get("/v1/credentials", headers=headers).json() == []
    for kind in ("credential.issued", "credential.ended"):
        by = [one.details.get("by") for one in house.site.log.opened(kind)]
        assert by[-1] == operator.credential.credential_id


def test_a_link_is_not_replayed_for_a_repeated_request(
    client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    del operator
    keyed = {**headers, "Idempotency-Key": "5f0c2a9e-3d0b-4c56-9a55-2f1f0f6f7c11"}
    new = {"label": "reception", "role": "desk", "zone": "lobby"}
    assert client.post("/v1/staff", json=new, headers=keyed).status_code == 201
    assert client.post("/v1/staff", json=new, headers=keyed).status_code == 409
    assert len(client.get("/v1/staff", headers=headers).json()) == 2


def test_a_door_has_the_sums_of_its_last_day(house: House, client: TestClient, operator: Member) -> None:
    del operator
    door, _ = house.site.programs.credentials.issue(label="east door", role=Role.DOOR, zone="lobby")
    counts = house.site.programs.decisions
    for hours, allowed in ((3, 40), (2, 2)):
        begin = house.site.now() - timedelta(hours=hours)
        one = DecisionCount(door.credential_id, Purpose("lobby"), "identify", {"allowed": allowed, "failed": 1}, {})
        counts.counted("run", begin, begin + timedelta(minutes=1), [one])
    found = counts.activity(house.site.now() - timedelta(days=1))[door.credential_id]
    assert (found.asked, found.refused) == (44, 2)
    assert found.last_at == house.site.now() - timedelta(hours=2) + timedelta(minutes=1)
    text = re.sub(r"\s+", " ", client.get("/operator/zones").text)
    assert "44 (2 refused)" in text


def test_what_was_counted_before_the_last_day_is_left_out(house: House) -> None:
    counts, begin = house.site.programs.decisions, house.site.now()
    one = DecisionCount("0" * 16, Purpose("lobby"), "identify", {"allowed": 5}, {})
    counts.counted("run", begin, begin + timedelta(minutes=1), [one])
    house.clock.move(hours=25)
    assert counts.activity(house.site.now() - timedelta(days=1)) == {}
    assert counts.activity(begin)["0" * 16].asked == 5


def test_a_member_is_added_recovered_and_ended(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    staff = house.site.programs.staff
    new = {"label": "reception", "role": "desk", "zone": "lobby"}
    made = client.post("/v1/staff", json=new, headers=headers).json()
    assert staff.of_link(made["link"].partition("#")[2]).label == "reception"
    recovered = client.post(f"/v1/staff/{made['credential']}/recovery", headers=headers).json()
    entry = house.site.log.opened("credential.recovered")[-1].details
    assert (entry["replaces"], entry["by"]) == (made["credential"], operator.credential.credential_id)
    assert members(house) == {recovered["credential"], operator.credential.credential_id}
    assert client.delete(f"/v1/credentials/{recovered['credential']}", headers=headers).status_code == 204
    assert members(house) == {operator.credential.credential_id}
    assert client.post("/v1/staff", json={"label": "x", "role": "door"}, headers=headers).status_code == 422


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.PRIVACY_OFFICER])
def test_no_session_makes_another_operator_or_officer(
    house: House, client: TestClient, operator: Member, headers: dict[str, str], role: Role
) -> None:
    answer = client.post("/v1/staff", json={"label": "intruder", "role": role}, headers=headers)
    assert answer.status_code == 403
    assert "volens staff add" in answer.json()["detail"]
    assert members(house) == {operator.credential.credential_id}
    assert f'value="{role}"' not in client.get("/operator/staff").text


def test_no_session_takes_over_a_privacy_officer(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    del operator
    officer = add_member(house.site, Role.PRIVACY_OFFICER).credential.credential_id
    answer = client.post(f"/v1/staff/{officer}/recovery", headers=headers)
    assert answer.status_code == 403
    assert "volens staff recover" in answer.json()["detail"]
    assert officer in members(house)
    assert f"/v1/staff/{officer}/recovery" not in client.get("/operator/staff").text


def test_an_operator_cannot_recover_their_own_sign_in(
    client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    own = operator.credential.credential_id
    assert client.post(f"/v1/staff/{own}/recovery", headers=headers).status_code == 403
    text = client.get("/operator/staff").text
    assert f"/v1/staff/{own}/recovery" not in text
    assert f"/v1/credentials/{own}" not in text


def test_a_recovered_member_is_signed_out_everywhere(
    house: House, client: TestClient, operator: Member, headers: dict[str, str]
) -> None:
    del operator
    desk = add_member(house.site, Role.DESK)
    other = TestClient(client.app, base_url=SITE, follow_redirects=False)
    assert sign_in(other, desk).status_code == 200
    assert other.get("/staff/home").headers["Location"] == "/desk"
    client.post(f"/v1/staff/{desk.credential.credential_id}/recovery", headers=headers)
    assert other.get("/staff/home").headers["Location"] == "/staff"


def test_without_a_public_address_no_link_is_made(house: House) -> None:
    _, token = house.site.programs.credentials.issue(label="console", role=Role.OPERATOR)
    state = AppState(house.site, model_threads=1, waiting=4)
    bearer = {"Authorization": f"Bearer {token.reveal()}"}
    answer = TestClient(application(state), base_url=SITE).post(
        "/v1/staff", json={"label": "x", "role": "desk"}, headers=bearer
    )
    assert "no_address" in kinds(state)
    state.close()
    assert answer.status_code == 422
    assert "volens defaults set --public-url" in answer.json()["detail"]


def test_the_times_of_stages_are_drawn_and_in_a_table(client: TestClient, state: AppState, operator: Member) -> None:
    del operator
    with state.metrics.stage("scan"):
        pass
    text = client.get("/operator/health").text
    assert '<rect class="half"' in text
    assert re.search(r'<th scope="row">search the gallery</th><td class="number">1</td>', text)
    assert "style=" not in text


def members(house: House) -> set[str]:
    found: list[StaffMember] = house.site.programs.staff.list()
    return {one.credential.credential_id for one in found}
