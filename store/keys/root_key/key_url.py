"""Root key URLs: where a root key is kept. Parsing is pure (no I/O), and no URL may contain a secret.

``file:PATH``
    A file (0600). Relative to the home; ``file:root.key`` is the default. Nothing in the path is decoded.
``keyring:[SERVICE[/NAME]]``
    An entry of the operating system's keyring. Without SERVICE ``volens``, without NAME the id of the site.
``vault:ADDRESS/MOUNT/KEY[?namespace=NAME&token-file=PATH&allow-http=yes]``
    A key of a Transit engine, as in ``vault:https://vault.example:8200/transit/volens``. It belongs to this site alone:
    a rotation destroys its old versions. The token is read from VAULT_TOKEN, the token file or ``~/.vault-token``.
    Plain http is allowed for loopback only, unless the URL allows it.
``aws-kms:KEY[?region=REGION]``
    An ARN, an id or ``alias/NAME`` of a symmetric KMS key. Credentials come from AWS's default credential chain.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias, final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from volens.consent import InputError

_MAX_CHARACTERS: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}")
_KMS_KEY: Final = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+|alias/[A-Za-z0-9/_-]+|[A-Za-z0-9-]{8,64}"
)
_KINDS: Final = "file:, keyring:, vault: or aws-kms:"


@final
@dataclass(frozen=True, slots=True)
class FileLocation:
    """A file; `path` as written, relative to the home."""

    path: str


@final
@dataclass(frozen=True, slots=True)
class KeyringLocation:
    """An entry of the operating system's keyring; no `name` means the id of the site."""

    service: str
    name: str | None


@final
@dataclass(frozen=True, slots=True)
class VaultLocation:
    """A key of a Transit engine; `address` is scheme, host and port."""

    address: str
    mount: str
    key: str
    namespace: str | None
    token_file: str | None


@final
@dataclass(frozen=True, slots=True)
class KmsLocation:
    """A KMS key; no `region` means the one of AWS's default configuration."""

    key: str
    region: str | None


RootKeyLocation: TypeAlias = FileLocation | KeyringLocation | VaultLocation | KmsLocation


def parse_root_key_url(text: str) -> RootKeyLocation:
    """Parse a root key URL; see the module for the syntax.

    Raises:
        InputError: it is not valid, contains a password, or would send a token unencrypted over a network. The message
            repeats only the kind of the URL.
    """
    if len(text) > _MAX_CHARACTERS or not text.isprintable():
        _refuse(f"got a root key URL of {len(text)} characters; expected at most {_MAX_CHARACTERS} printable ones")
    kind, colon, rest = text.partition(":")
    if not colon:
        _refuse(f"got a root key URL without a kind; expected {_KINDS}")
    match kind:
        case "file":
            return _file(rest)
        case "keyring":
            return _keyring(rest)
        case "vault":
            return _vault(rest)
        case "aws-kms":
            return _kms(rest)
        case _:
            raise InputError(f"got a root key URL of kind {kind[:20]!r}; expected {_KINDS}")


def _file(rest: str) -> FileLocation:
    path = rest.removeprefix("//") if rest.startswith("///") else rest
    if not path or path.startswith("//") or path.endswith("/"):
        _refuse("got file: without the path of a file; expected file:root.key or file:/media/key/root.key")
    return FileLocation(path)


def _keyring(rest: str) -> KeyringLocation:
    service, slash, name = rest.partition("/")
    if (service and not _NAME.fullmatch(service)) or (slash and not _NAME.fullmatch(name)):
        _refuse("this keyring: entry is not valid; expected keyring:SERVICE/NAME of letters, digits and . _ -")
    return KeyringLocation(service or "volens", name if slash else None)


def _vault(rest: str) -> VaultLocation:
    form = "expected vault:https://HOST[:PORT]/MOUNT/KEY"
    try:
        parts = urlsplit(rest)
        port = parts.port
    except ValueError:
        _refuse(f"got vault: with an address that is not valid; {form}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        _refuse(f"got vault: without an address; {form}")
    if parts.username is not None or parts.password is not None:
        _refuse("got vault: with a name or password in it; give the token in VAULT_TOKEN or a token file")
    options = _options(parts, "vault", {"namespace", "token-file", "allow-http"})
    if options.get("allow-http", "yes") != "yes":
        _refuse("got vault: with allow-http that is not 'yes'; leave it out, or write allow-http=yes")
    if parts.scheme == "http" and not _is_loopback(parts.hostname) and "allow-http" not in options:
        _refuse(
            "got vault: over plain http to another machine, which shows token and key to the whole network; use https, "
            "or add ?allow-http=yes"
        )
    mount, _, key = parts.path.strip("/").rpartition("/")
    if not _MOUNT.fullmatch(mount) or not _NAME.fullmatch(key):
        _refuse(f"got vault: without the engine's mount and the key's name; {form}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    address = f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    return VaultLocation(address, mount, key, options.get("namespace"), options.get("token-file"))


def _kms(rest: str) -> KmsLocation:
    parts = SplitResult("", "", *rest.partition("?")[::2], "")
    options = _options(parts, "aws-kms", {"region"})
    key, region = _KMS_KEY.fullmatch(parts.path), options.get("region")
    if key is None:
        _refuse("got aws-kms: without a key; expected an ARN, an id or alias/NAME")
    if region is not None and not _REGION.fullmatch(region):
        _refuse("got aws-kms: with a region that is not valid; expected one such as eu-west-3")
    if region is not None and key["region"] not in {None, region}:
        _refuse("got aws-kms: with a region that is not the one in the ARN; leave it out")
    return KmsLocation(parts.path, key["region"] or region)


def _options(parts: SplitResult, kind: str, known: set[str]) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if parts.fragment or len(options) < len(pairs) or not set(options) <= known or not all(options.values()):
        _refuse(f"got {kind}: with an option that is unknown, empty or repeated; expected {', '.join(sorted(known))}")
    return options


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse(sentence: str) -> NoReturn:
    raise InputError(sentence)
