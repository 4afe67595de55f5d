"""Asking an issuer for its keys, as OpenID Connect Discovery 1.0 has it: two questions to addresses that are judged.

1. What the issuer says about itself is read where its own URL leads; it must call itself exactly what we call it.
2. The keys are read where it says they are, under the same rules; never in plain ``http`` if the issuer itself is not.

No redirect is followed, at most 64 KiB are read, and each request has `TIMEOUT_S` (`volens.service.webhooks.posting`).
"""

import json
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from volens.consent import InputError, UnavailableError
from volens.service.oidc.issuer_keys import SigningKey, parse_keys
from volens.service.oidc.issuer_trust import Trust
from volens.service.webhooks.address_guard import AddressError, Resolve, checked_addresses, look_up, parse_target
from volens.service.webhooks.posting import Answer, DeliveryError, get

TIMEOUT_S: Final = 5.0
LEAST_AGE: Final = timedelta(minutes=5)
MOST_AGE: Final = timedelta(hours=24)

_OK: Final = 200
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "Volens"}


class IssuerError(UnavailableError):
    """The issuer's keys cannot be had. The message says why in a few words, and nothing of what it answered.

    Attributes:
        again_after_s: in how many seconds it may be asked again.
    """

    again_after_s = 1


@final
@dataclass(frozen=True, slots=True)
class Published:
    """The keys of an issuer, and how long they may be used without asking again: `LEAST_AGE` to `MOST_AGE`."""

    keys: tuple[SigningKey, ...]
    fresh_for: timedelta


def fetch_keys(
    trust: Trust,
    *,
    resolve: Resolve = look_up,
    timeout_s: float = TIMEOUT_S,
    context: ssl.SSLContext | None = None,
) -> Published:
    """Ask an issuer for its keys, by the steps above.

    Args:
        trust: which issuer.
        resolve: looks up names.
        timeout_s: for each of the two questions.
        context: for TLS; the machine's trust store without it.

    Raises:
        IssuerError: 1 or 2 cannot be done.
    """

    def ask(url: str) -> Answer:
        target = parse_target(url, allow_private=trust.allow_private)
        addresses = checked_addresses(target, allow_private=trust.allow_private, resolve=resolve)
        answer = get(target, addresses, _HEADERS, timeout_s=timeout_s, context=context)
        if answer.status != _OK:
            raise IssuerError(f"the issuer answers with status {answer.status}")
        return answer

    try:
        # 1.
        where = _keys_url(ask(trust.configuration_url).body, trust)
        # 2.
        answer = ask(where)
        keys = parse_keys(answer.body)
    except DeliveryError as error:
        raise IssuerError(f"the issuer gives {error}") from None
    except (AddressError, InputError) as error:
        raise IssuerError(f"the issuer cannot be used: {error}") from None
    except OSError:
        raise IssuerError("the issuer's name has no address") from None
    return Published(keys, min(max(answer.max_age or LEAST_AGE, LEAST_AGE), MOST_AGE))


def _keys_url(data: bytes, trust: Trust) -> str:
    try:
        found = json.loads(data.decode("utf-8"))
        issuer, where = found["issuer"], found["jwks_uri"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError("got no description of an issuer; expected 'issuer' and 'jwks_uri'") from None
    if issuer != trust.issuer:
        raise InputError("got the description of another issuer; check the configuration, letter by letter")
    if not isinstance(where, str) or (trust.issuer.startswith("https:") and not where.startswith("https:")):
        raise InputError("got keys that are not behind https")
    return where
