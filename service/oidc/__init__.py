"""OpenID Connect: callers with tokens of an external issuer. Trust, the issuer's keys, token verification."""

from volens.service.oidc.issuer_discovery import IssuerError as IssuerError
from volens.service.oidc.issuer_discovery import PublishedKeys as PublishedKeys
from volens.service.oidc.issuer_discovery import fetch_keys as fetch_keys
from volens.service.oidc.issuer_keys import ALGORITHMS as ALGORITHMS
from volens.service.oidc.issuer_keys import MAX_KEYS as MAX_KEYS
from volens.service.oidc.issuer_keys import SigningKey as SigningKey
from volens.service.oidc.issuer_keys import parse_keys as parse_keys
from volens.service.oidc.issuer_token import MAX_TOKEN_BYTES as MAX_TOKEN_BYTES
from volens.service.oidc.issuer_token import ForeignRoleError as ForeignRoleError
from volens.service.oidc.issuer_token import TokenError as TokenError
from volens.service.oidc.issuer_token import UnknownKeyError as UnknownKeyError
from volens.service.oidc.issuer_token import VerifiedToken as VerifiedToken
from volens.service.oidc.issuer_token import verify_token as verify_token
from volens.service.oidc.issuer_trust import ROLE_CLAIM as ROLE_CLAIM
from volens.service.oidc.issuer_trust import ZONE_CLAIM as ZONE_CLAIM
from volens.service.oidc.issuer_trust import Trust as Trust
