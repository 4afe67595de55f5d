"""OpenID Connect authorization code flow with PKCE: the request, and the exchange of the code for an ID token.

OpenID Connect Core 1.0 section 3.1, with the advice of RFC 9700 (OAuth 2.0 security) and PKCE (RFC 7636, S256). What is
random and what was kept are arguments; `volens.service.web.oidc_sign_in` keeps them in a sealed cookie.

1. The browser is sent to the issuer with a state, a nonce and the hash of a verifier.
2. The issuer sends it back with a code; the state must be the one of this browser.
3. The code and the verifier are exchanged for an ID token, from us to the issuer.
4. The token is verified like any other (`issuer_token`), for the audience of our client; its nonce must be ours.
"""

import base64
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote, urlencode

from volens.consent import InputError, RefusedError
from volens.consent.json_reader import read_json
from volens.consent.jws import b64url
from volens.service.oidc.issuer_discovery import IssuerLine
from volens.service.oidc.issuer_token import MAX_TOKEN_BYTES, VerifiedToken
from volens.service.oidc.issuer_trust import Trust
from volens.store.files import read_secret

MAX_CODE_CHARACTERS: Final = 4096
MAX_SECRET_BYTES: Final = 512
_FORM: Final = "application/x-www-form-urlencoded"


class SignInRefusedError(RefusedError):
    """The issuer did not sign the member in, or the answer is not for this browser."""


@final
@dataclass(frozen=True, slots=True)
class OidcClient:
    """Our client at the issuer.

    Attributes:
        client_id: the audience of its ID tokens.
        secret: None for a public client, which PKCE alone protects.
    """

    trust: Trust
    client_id: str
    secret: str | None = field(default=None, repr=False)

    @property
    def id_token_trust(self) -> Trust:
        """The trust in ID tokens, whose audience is the client."""
        return replace(self.trust, audience=self.client_id)


@final
@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What one sign-in keeps until the issuer sends the browser back; each value is 32 random bytes in base64url."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)

    def url(self, client: OidcClient, endpoint: str, redirect_uri: str) -> str:
        """Return the address at the issuer to which the browser is sent (step 1)."""
        challenge = b64url(sha256(self.verifier.encode("ascii")).digest())
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def check_state(self, state: str) -> None:
        """Check that an answer is for this request (step 2).

        Raises:
            SignInRefusedError: it is for another one.
        """
        if not compare_digest(state.encode("utf-8"), self.state.encode("ascii")):
            raise SignInRefusedError("this answer is not for this browser; sign in again")

    def check_nonce(self, token: VerifiedToken) -> None:
        """Check that an ID token was issued for this request (step 4).

        Raises:
            SignInRefusedError: it was issued for another one.
        """
        if token.nonce is None or not compare_digest(token.nonce.encode("utf-8"), self.nonce.encode("ascii")):
            raise SignInRefusedError("this answer is not for this browser; sign in again")


def exchange(client: OidcClient, line: IssuerLine, code: str, request: CodeRequest, redirect_uri: str) -> str:
    """Return the ID token for a code (step 3); not verified.

    Raises:
        IssuerError: the issuer does not answer, or refuses the code.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client.client_id,
        "code_verifier": request.verifier,
    }
    headers = {"Content-Type": _FORM}
    if client.secret is not None:
        # client_secret_basic (RFC 6749 section 2.3.1): both parts are form-encoded first.
        pair = f"{quote(client.client_id, safe='')}:{quote(client.secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode('ascii')).decode('ascii')}"
    (endpoint,) = line.addresses("token_endpoint")
    return line.ask(endpoint, _id_token, form=urlencode(form).encode("ascii"), more=headers)[1]


def read_client_secret(path: Path) -> str:
    """Read the file with the client's secret: one line.

    Raises:
        InputError, UnavailableError: see `volens.store.files.read_secret`.
    """
    return read_secret(path, "client secret", MAX_SECRET_BYTES)


def _id_token(body: bytes) -> str:
    try:
        found: Any = read_json(body)
        token = found["id_token"]
    except (ValueError, TypeError, KeyError):
        raise InputError("got an answer without an ID token") from None
    if not isinstance(token, str) or len(token) > MAX_TOKEN_BYTES:
        raise InputError("got an ID token of another form")
    return token
