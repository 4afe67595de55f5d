"""Root key URLs: parsing, and refusals that do not quote a secret."""

import pytest

from volens.consent import InputError
from volens.store.keys.root_key import (
    FileLocation,
    KeyringLocation,
    KmsLocation,
    RootKeyLocation,
    VaultLocation,
    parse_root_key_url,
)

ARN = "arn:aws:kms:eu-west-3:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
V = "https://vault.example:8200"

MEANT: dict[str, RootKeyLocation] = {
    "file:root.key": FileLocation("root.key"),
    "file:../key of the site": FileLocation("../key of the site"),
    "file:/media/key/root.key": FileLocation("/media/key/root.key"),
    "file:///media/key/root.key": FileLocation("/media/key/root.key"),
    "file:a%20b": FileLocation("a%20b"),
    "keyring:": KeyringLocation("volens", None),
    "keyring:doors": KeyringLocation("doors", None),
    "keyring:doors/main": KeyringLocation("doors", "main"),
    f"vault:{V}/transit/volens": VaultLocation(V, "transit", "volens", None, None),
    f"vault:{V}/a/b/volens?namespace=team%2Fdoors": VaultLocation(V, "a/b", "volens", "team/doors", None),
    f"vault:{V}/transit/volens?token-file=/run/token": VaultLocation(V, "transit", "volens", None, "/run/token"),
    "vault:http://127.0.0.1:8200/t/k": VaultLocation("http://127.0.0.1:8200", "t", "k", None, None),
    "vault:http://[::1]:8200/t/k": VaultLocation("http://[::1]:8200", "t", "k", None, None),
    "vault:http://localhost/t/k": VaultLocation("http://localhost", "t", "k", None, None),
    "vault:http://vault.example/t/k?allow-http=yes": VaultLocation("http://vault.example", "t", "k", None, None),
    f"aws-kms:{ARN}": KmsLocation(ARN, "eu-west-3"),
    f"aws-kms:{ARN}?region=eu-west-3": KmsLocation(ARN, "eu-west-3"),
    "aws-kms:alias/volens?region=us-gov-west-1": KmsLocation("alias/volens", "us-gov-west-1"),
    "aws-kms:1234abcd-12ab-34cd-56ef-1234567890ab": KmsLocation("1234abcd-12ab-34cd-56ef-1234567890ab", None),
}

REFUSED = {
    "": "without a kind",
    "root.key": "without a kind",
    "ftp:x": "of kind 'ftp'",
    "File:root.key": "of kind 'File'",
    "file:": "without the path",
    "file://host/root.key": "without the path",
    "file:folder/": "without the path",
    "file:a\nb": "printable ones",
    "file:" + "a" * 1000: "at most 1000",
    "keyring:a/": "entry is not valid",
    "keyring:a/b/c": "entry is not valid",
    "keyring:a b": "entry is not valid",
    "vault:vault.example/transit/k": "without an address",
    "vault:ftp://vault.example/transit/k": "without an address",
    "vault:https:///transit/k": "without an address",
    "vault:https://vault.example:port/transit/k": "address that is not valid",
    "vault:https://vault.example": "without the engine's mount",
    "vault:https://vault.example/k": "without the engine's mount",
    "vault:https://vault.example/../k": "without the engine's mount",
    "vault:https://vault.example/transit/a%2Fb": "without the engine's mount",
    "vault:https://CANARY@vault.example/transit/k": "with a name or password",
    "vault:https://a:CANARY@vault.example/transit/k": "with a name or password",
    "vault:https://vault.example/transit/k?token=CANARY": "option that is unknown",
    "vault:https://vault.example/transit/k?namespace=": "empty",
    "vault:https://vault.example/transit/k?namespace=a&namespace=b": "repeated",
    "vault:https://vault.example/transit/k#CANARY": "option that is unknown",
    "vault:http://vault.example/transit/k": "over plain http",
    "vault:http://127.0.0.1.example/transit/k": "over plain http",
    "vault:http://10.0.0.1/transit/k": "over plain http",
    "vault:http://vault.example/transit/k?allow-http=no": "not 'yes'",
    "aws-kms:": "without a key",
    "aws-kms:arn:aws:s3:::bucket": "without a key",
    "aws-kms:alias/volens?region=paris": "region that is not valid",
    f"aws-kms:{ARN}?region=us-east-1": "not the one in the ARN",
    "aws-kms:alias/volens?secret=CANARY": "option that is unknown",
}


@pytest.mark.parametrize("url", MEANT)
def test_a_url_is_parsed_into_its_location(url: str) -> None:
    assert parse_root_key_url(url) == MEANT[url]


@pytest.mark.parametrize("url", REFUSED)
def test_an_invalid_url_or_one_with_a_secret_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(InputError, match=REFUSED[url]) as caught:
        parse_root_key_url(url)
    assert "CANARY" not in str(caught.value)
    assert "\n" not in str(caught.value)
