"""Fake OpenID Connect issuer on loopback, correct or not, and its signing keys; stops at the end of its `with`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl

from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from loopback import serving
from patience import PATIENCE_S

from volens.consent.jws import b64url

AUDIENCE = "volens"


@dataclass(frozen=True)
class Signer:
    """A key pair of the issuer."""

    kid: str
    alg: str
    pair: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public JWK."""
        return {**self.pair.as_dict(private=False), "kid": self.kid, "alg": self.alg, "use": "sig"}

    def token(self, claims: object, **header: object) -> str:
        """Sign claims; `header` adds to the header or replaces; what is None is left out."""
        whole = {"alg": self.alg, "kid": self.kid, "typ": "at+jwt"} | header
        return self.sign(json.dumps({name: one for name, one in whole.items() if one is not None}), json.dumps(claims))

    def sign(self, header: str, payload: str) -> str:
        """Sign texts as they are."""
        signed = f"{b64url(header.encode())}.{b64url(payload.encode())}"
        model = JWSRegistry.algorithms["Ed25519" if self.alg == "EdDSA" else self.alg]
        return f"{signed}.{b64url(model.sign(signed.encode(), self.pair))}"


@cache
def signer(alg: str = "ES256", kid: str = "first") -> Signer:
    """Make a key pair once for each name."""
    if alg.startswith("ES"):
        return Signer(kid, alg, ECKey.generate_key({"ES256": "P-256", "ES384": "P-384"}[alg]))
    if alg.startswith("HS"):
        return Signer(kid, alg, OctKey.generate_key(256))
    if alg.startswith("Ed"):
        return Signer(kid, alg, OKPKey.generate_key("Ed25519"))
    return Signer(kid, alg, RSAKey.generate_key(2048))


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class HouseIssuer:
    """Answers of the issuer, and the requests that it received."""

    url: str
    keys: list[Signer] = field(default_factory=lambda: [signer()])
    says: dict[str, Any] = field(default_factory=dict)
    cache_control: str = "max-age=600"
    behaviour: Behaviour | None = None
    asked: list[str] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    id_token: str | None = None
    forms: list[tuple[dict[str, str], str | None]] = field(default_factory=list)

    @property
    def fetches(self) -> int:
        """Return the number of times that the keys were fetched."""
        return len([path for path in self.asked if path.endswith("openid-configuration")])

    def claims(self, now: float, **more: object) -> dict[str, Any]:
        """Return good claims; what is None is left out."""
        said = {"iss": self.url, "aud": AUDIENCE, "sub": "canary-subject@example.org", "iat": now, "exp": now + 600}
        return {name: value for name, value in (said | more).items() if value is not None}

    def signs_in(self, token: str) -> None:
        """Exchange any code for this ID token from now on, and send browsers back with a code."""
        self.says |= {"authorization_endpoint": f"{self.url}/login", "token_endpoint": f"{self.url}/token"}
        self.id_token = token

    def hang(self, _handler: BaseHTTPRequestHandler) -> None:
        """Send no response until the test ends."""
        self.ended.wait(PATIENCE_S)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Send the response of a correct issuer."""
        found: dict[str, Any] = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.says
        if handler.path.endswith("/keys"):
            found = {"keys": [one.jwk for one in self.keys]}
        elif handler.path.endswith("/token"):
            form = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
            self.forms.append((dict(parse_qsl(form)), handler.headers.get("Authorization")))
            found = {"id_token": self.id_token, "token_type": "Bearer"}
        body = json.dumps(found).encode()
        handler.send_response(200)
        for name, value in (("Content-Length", str(len(body))), ("Cache-Control", self.cache_control)):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def loopback_issuer() -> Iterator[HouseIssuer]:
    """Listen on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            here.came.set()
            try:
                (here.behaviour or here.answer)(self)
            except OSError:
                return  # the client disconnected

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as port:
        here = HouseIssuer(f"http://127.0.0.1:{port}/realm")
        try:
            yield here
        finally:
            here.ended.set()
