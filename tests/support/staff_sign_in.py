"""A member of staff in tests without a browser: makes a passkey in software by a link, and signs in with it."""

from dataclasses import dataclass

from httpx2 import Response
from signing import Passkey, make_passkey
from starlette.testclient import TestClient

from volens import Site
from volens.consent.jws import b64url, from_b64url
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.relying_party import RelyingParty
from volens.store.programs import Role
from volens.store.programs.credentials import Credential


@dataclass
class Member:
    """A member who has made a passkey."""

    credential: Credential
    passkey_id: str
    passkey: Passkey


def add_member(site: Site, role: Role, zone: str | None = None, label: str = "reception") -> Member:
    """Add a member whose passkey the site knows."""
    credential, token = site.programs.staff.add(label=label, role=role, zone=zone)
    passkey, party = make_passkey(), site.defaults.public_url()
    assert party is not None, "the site of this test needs a public address"
    passkey.party = party
    passkey_id = b64url(credential.credential_id.encode())
    site.programs.staff.register(token.reveal(), passkey_id, passkey.public)
    return Member(credential, passkey_id, passkey)


def own_headers(party: RelyingParty) -> dict[str, str]:
    """Return the headers that a browser sends from a page of this site."""
    return {"Origin": party.origin, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


def sign_in(client: TestClient, member: Member, **changes: str) -> Response:
    """Sign in as a browser does; `changes` replace parts of what it sends."""
    headers = own_headers(member.passkey.party)
    begun = client.post("/staff/sign-in/begin", json={}, headers=headers)
    assert begun.status_code == 200, begun.text
    assertion = signed_challenge(member.passkey, begun.json()["challenge"])
    body = {"id": member.passkey_id, **assertion.to_json(), **changes}
    return client.post("/staff/sign-in", json=body, headers=headers)


def signed_challenge(passkey: Passkey, challenge: str) -> PasskeyAssertion:
    """Return the passkey's answer to a challenge in base64url, which is signed as it is."""
    kept, passkey.client = passkey.client, {"challenge": challenge, **passkey.client}
    try:
        assert len(from_b64url(challenge)) == 32
        return passkey.assertion(b"")
    finally:
        passkey.client = kept


def signed_in(client: TestClient, site: Site, role: Role, zone: str | None = None) -> Member:
    """Add a member and sign in; the client holds the session then."""
    member = add_member(site, role, zone)
    answer = sign_in(client, member)
    assert answer.status_code == 200, answer.text
    return member
