"""Refusals in the reader's language: by the code of the reason or the kind of the problem, never the English detail."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from house import House
from staff_sign_in import own_headers, signed_in
from starlette.testclient import TestClient

from volens.consent import InputError, RefusedError, VolensError
from volens.consent.invitation import InvitationEndedError, InvitationState
from volens.consent.reason import Reason
from volens.face import QualityReport, QualityRules
from volens.service.http import AppState, application
from volens.service.http.problems import kind_of
from volens.service.web.page_response import TEMPLATES
from volens.service.web.web_routes import add_pages
from volens.store.programs import Role

SITE = "https://doors.example"
LANGUAGES = ("fr", "de")
DATA = re.compile(r' data-([a-z-]+)="([^"]*)"')
GOOD = {
    "inside_photo": 1.0,
    "eye_distance_px": 90.0,
    "detection_score": 0.95,
    "mean_luma": 120.0,
    "clipped_dark": 0.0,
    "clipped_bright": 0.0,
    "sharpness": 1.0,
    "roll_degrees": 0.0,
    "roll_score": 1.0,
    "nose_offset": 0.0,
    "directional_sharpness": 1.0,
    "flat_eyes_px": 0,
    "flat_mouth_px": 0,
}
POOR = {
    Reason.PHOTO_OUTSIDE: {"inside_photo": 0.5},
    Reason.PHOTO_FAR: {"eye_distance_px": 5.0},
    Reason.PHOTO_UNCLEAR: {"detection_score": 0.1},
    Reason.PHOTO_BRIGHT: {"mean_luma": 254.0},
    Reason.PHOTO_DARK: {"mean_luma": 3.0},
    Reason.PHOTO_BLURRED: {"sharpness": 0.0},
    Reason.PHOTO_TURNED: {"roll_degrees": 179.0},
    Reason.PHOTO_TILTED: {"roll_degrees": 60.0},
    Reason.PHOTO_PROFILE: {"nose_offset": 0.5},
    Reason.PHOTO_EYES_COVERED: {"flat_eyes_px": 900},
    Reason.PHOTO_MOUTH_COVERED: {"flat_mouth_px": 900},
}
CONSENT = "/v1/zones/lobby/consents/{receipt_id}"
INVITE = {"name": "Bo Newcomer", "jurisdiction": "FR"}
REFUSED_AT_THE_DESK: list[tuple[Reason, str, str, dict[str, Any]]] = [
    (Reason.TEXT_LENGTH, "PUT", f"{CONSENT}/name", {"name": " "}),
    (Reason.TEXT_CHARACTER, "PUT", f"{CONSENT}/name", {"name": "Bo\u202eNew"}),
    (Reason.IDENTITY_NOT_CHECKED, "POST", f"{CONSENT}/code", {"identity_checked": False}),
    (Reason.NO_FACTOR_REQUIRED, "PUT", f"{CONSENT}/factor", {"pin": "719035"}),
    (Reason.PIN_LENGTH, "PUT", f"{CONSENT}/factor", {"pin": "12"}),
    (Reason.PIN_GUESSED, "PUT", f"{CONSENT}/factor", {"pin": "123456"}),
    (Reason.BADGE_LENGTH, "PUT", f"{CONSENT}/factor", {"badge_number": "1"}),
    (Reason.INVITED_NAME, "POST", "/v1/zones/lobby/invitations", INVITE | {"name": "Lin Invited"}),
    (Reason.TERM_DAYS, "POST", "/v1/zones/lobby/invitations", INVITE | {"valid_days": 9999}),
    (Reason.LINK_DAYS, "POST", "/v1/zones/lobby/invitations", INVITE | {"days": 91}),
    (Reason.JURISDICTION_FORM, "POST", "/v1/zones/lobby/invitations", INVITE | {"jurisdiction": "France"}),
    (Reason.NOTICE_LANGUAGE, "POST", "/v1/zones/lobby/invitations", INVITE | {"language": "pt"}),
    (Reason.LANGUAGE_FORM, "POST", "/v1/zones/lobby/invitations", INVITE | {"language": "no language"}),
]
TABLES = {
    Reason.TABLE_ENCODING: b"name\nJos\xe9\n",
    Reason.TABLE_COLUMNS: b"name,shoe size\nBo,44\n",
    Reason.TABLE_SIZE: b"name\n",
    Reason.TABLE_DAYS: b"name,valid_days\nBo,soon\n",
}


@pytest.fixture
def state(house: House) -> Iterator[AppState]:
    house.site.defaults.set(public_url=SITE, jurisdiction="FR")
    state = AppState(house.site, model_threads=1, waiting=4)
    yield state
    state.close()


@pytest.fixture
def desk(state: AppState) -> TestClient:
    client = TestClient(application(state, add_pages=add_pages), base_url=SITE)
    signed_in(client, state.site, Role.DESK)
    return client


def sentences(client: TestClient, language: str, path: str = "/desk") -> dict[str, str]:
    """Return what a page gives its script to say, by code."""
    page = client.get(f"{path}?lang={language}", headers={"Accept": "text/html"}).text
    return dict(DATA.findall(page.partition('<template id="refusals"')[2].partition("</template>")[0]))


def kinds() -> set[str]:
    """Return the kinds of all errors for which someone who reads a page can be to blame."""

    def below(cls: type[VolensError]) -> Iterator[type[VolensError]]:
        yield cls
        for one in cls.__subclasses__():
            yield from below(one)

    of_programs = {"address", "signature", "stale", "token", "unknown-key", "foreign-role", "model-licence"}
    of_pages_of_their_own = {"unknown-invitation", "key-reused", "several-people", "forged-grant"}
    roots = (RefusedError, InputError)
    found = {kind_of(cls()) for root in roots for cls in below(root) if cls is not InvitationEndedError}
    return found - of_programs - of_pages_of_their_own


def test_every_reason_and_kind_has_a_sentence_in_each_language(desk: TestClient) -> None:
    english = sentences(desk, "en")
    assert set(Reason) <= set(english)
    assert kinds() <= set(english)
    for language in LANGUAGES:
        found = sentences(desk, language)
        assert not [code for code, sentence in found.items() if sentence == english[code] and code != "photo-number"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("reason", "method", "path", "body"), REFUSED_AT_THE_DESK)
def test_the_desk_can_say_why_something_is_refused(
    house: House,
    state: AppState,
    desk: TestClient,
    language: str,
    reason: Reason,
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    person = house.admit()
    house.site.invitations.invite("lobby", name="Lin Invited", jurisdiction="FR")
    headers = own_headers(state.site.defaults.public_url())  # type: ignore[arg-type]  # set by the fixture
    answer = desk.request(method, path.format(receipt_id=person.receipt_id), json=body, headers=headers)
    assert answer.status_code in {403, 422}, answer.text
    problem = answer.json()
    assert problem["reason"] == reason
    assert problem["detail"] not in sentences(desk, language)[problem["reason"]]


@pytest.mark.parametrize(("reason", "table"), TABLES.items())
def test_the_desk_can_say_what_is_wrong_with_a_table(
    state: AppState, desk: TestClient, reason: Reason, table: bytes
) -> None:
    headers = own_headers(state.site.defaults.public_url())  # type: ignore[arg-type]  # set by the fixture
    address = "/v1/zones/lobby/invitation-imports"
    problem = desk.post(address, files={"table": ("people.csv", table)}, headers=headers).json()
    assert problem["reason"] == reason
    assert ("number" in problem) == (reason is Reason.TABLE_DAYS)


def test_a_row_of_a_table_that_is_refused_has_its_code(house: House, state: AppState, desk: TestClient) -> None:
    house.site.invitations.invite("lobby", name="Lin Invited", jurisdiction="FR")
    headers = own_headers(state.site.defaults.public_url())  # type: ignore[arg-type]  # set by the fixture
    table = b"name,zone\nBo Newcomer,\nLin Invited,\nCy Elsewhere,lab\n"
    answer = desk.post("/v1/zones/lobby/invitation-imports", files={"table": ("people.csv", table)}, headers=headers)
    codes = [one["code"] for one in answer.json()["rows"]]
    assert codes == [None, Reason.INVITED_NAME, Reason.TABLE_OTHER_ZONE]


@pytest.mark.parametrize("reason", POOR)
def test_a_poor_photo_has_the_code_of_what_is_poor(reason: Reason) -> None:
    QualityRules().check(QualityReport(**GOOD))
    with pytest.raises(VolensError) as caught:
        QualityRules().check(QualityReport(**GOOD | POOR[reason]))
    assert caught.value.reason is reason


@pytest.mark.parametrize("state_of", [InvitationState.USED, InvitationState.CANCELLED, InvitationState.EXPIRED])
def test_an_ended_invitation_has_the_code_of_how_it_ended(state_of: InvitationState) -> None:
    assert InvitationEndedError(state_of).reason == f"invitation-{state_of.value}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_page_says_in_the_readers_language_what_is_wrong(desk: TestClient, language: str) -> None:
    known = sentences(desk, language)
    html = {"Accept": "text/html"}
    for path, code in (
        ("/invitation/sign", "invitation-page-old"),
        ("/invitation/photos", "page-too-old"),
        ("/officer", "role"),
    ):
        page = desk.get(f"{path}?lang={language}", headers=html)
        assert known[code] in page.text, path
        assert not re.search(r"opened too long ago|ask the operator for one", page.text)


def test_no_page_shows_the_english_detail_of_a_problem() -> None:
    shows = re.compile(r"problem\.detail|error\.detail|\.detail\b|(?<!whole)error\.message")
    allowed = {"officer.js": 1}  # the message of its own FailedJob, which is made of the page's sentences
    found = {}
    for path in sorted([*TEMPLATES.rglob("*.html"), *(Path(TEMPLATES).parent / "static").glob("*.js")]):
        count = len(shows.findall(path.read_text("utf-8")))
        if count != allowed.get(path.name, 0):
            found[path.name] = count
    assert not found
