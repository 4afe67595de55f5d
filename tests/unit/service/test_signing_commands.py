"""`volens consent offer`, `sign` and `accept`: the person signs on a machine without the site."""

import json
from pathlib import Path

import pytest
from declared_gates import open_gates_in
from publishing import publish_at_home
from said import Command

from volens import SubjectKey
from volens.consent import TakeHome
from volens.consent.offer_file import OfferFile
from volens.consent.receipt_signature import SignatureForm

OFFER = ("consent", "offer", "--jurisdiction", "FR", "--public-key", "own.pub", "--out", "own.offer.json")
SIGN = ("consent", "sign", "own.offer.json", "--key", "own.key", "--out", "own.signed", "--yes-i-read-it")
ACCEPT = ("consent", "accept", "own.signed", "--name", "Ada Canary", "--out", "own.receipt.json")


@pytest.fixture
def own(lobby: Path) -> SubjectKey:
    """A key that the person made."""
    key = SubjectKey.from_seed(b"\x0a" * 32)
    (lobby / "own.key").write_bytes(key.to_pem())
    (lobby / "own.pub").write_text(json.dumps(key.public.to_jwk()))
    return key


def test_a_person_signs_away_from_the_site_and_renews_so(
    volens: Command, own: SubjectKey, lobby: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert volens(*OFFER).code == 0
    assert OfferFile.parse(Path("own.offer.json").read_bytes()).language == "en"
    with monkeypatch.context() as away:
        away.setenv("VOLENS_HOME", str(lobby / "no site here"))
        signed = volens(*SIGN, "--json")
    assert (signed.code, signed.json["subject_id"]) == (0, own.public.subject_id)
    assert "for zone lobby, custody operator, law of FR" in signed.err

    accepted = volens(*ACCEPT, "--json")
    assert (accepted.code, accepted.json["signed_by"]) == (0, "person_key")
    claims = TakeHome.parse(Path("own.receipt.json").read_bytes()).receipt.claims
    assert claims.signature.form is SignatureForm.PERSON_KEY
    again = volens(*ACCEPT[:-1], "second.receipt.json")
    assert (again.code, "recorded before" in again.err) == (1, True)
    assert not Path("second.receipt.json").exists()

    assert volens("consent", "offer", "--renews", "own.receipt.json", "--out", "new.offer.json").code == 0
    assert volens(*SIGN[:2], "new.offer.json", *SIGN[3:6], "new.signed", SIGN[-1]).code == 0
    renewed = volens("consent", "renew", "own.receipt.json", "--signed", "new.signed", "--out", "new.receipt.json")
    assert renewed.code == 0, renewed.err
    assert volens("withdraw", "new.receipt.json").code == 0


def test_a_consent_given_at_the_desk_says_so_and_a_zone_refuses_it(volens: Command, lobby: Path) -> None:
    give = ("consent", "give", "--name", "Bob", "--jurisdiction", "FR", "--new-key", "bob.key", "--yes-i-read-it")
    given = volens(*give, "--zone", "lobby", "--out", "bob.json")
    assert "signed at the desk, as the receipt says" in given.out
    promises = ("--justification", "trays", "--alternative", "a badge", "--retention-days", "30")
    assert volens("zone", "add", "lab", "--custody", "operator", *promises, "--no-desk-signature").code == 0
    open_gates_in(lobby / "site", "lab")
    publish_at_home("lab")
    shown = {one["zone"]: one["desk_signature"] for one in volens("zone", "list", "--json").json}
    assert shown == {"lab": "refused", "lobby": "allowed"}
    (lobby / "bob.key").unlink()
    refused = volens(*give, "--zone", "lab", "--out", "lab.json")
    assert (refused.code, "accepts no signature made at the desk" in refused.err) == (1, True)
    assert not (lobby / "bob.key").exists()


def test_a_person_who_does_not_agree_signs_nothing(volens: Command, own: SubjectKey) -> None:
    assert own
    assert volens(*OFFER).code == 0
    unasked = volens(*SIGN[:-1])
    assert (unasked.code, "no terminal to ask on" in unasked.err) == (2, True)
    assert not Path("own.signed").exists()


WRONG = {
    "another person's key": (("sign", "own.offer.json", "--key", "other.key"), 1, "not the one for which"),
    "a receipt for an offer": (("sign", "own.pub", "--key", "own.key"), 2, "another file than an offer"),
    "an offer whose notice was changed": (("sign", "changed.json", "--key", "own.key"), 2, "is not the one that"),
    "a private key to offer for": (
        ("offer", "--jurisdiction", "FR", "--public-key", "own.key"),
        2,
        "got a private key",
    ),
    "no key to offer for": (("offer", "--jurisdiction", "FR"), 2, "exactly one of --public-key"),
    "an unsigned offer": (("accept", "own.offer.json", "--name", "Ada"), 2, "not a Volens receipt"),
    "a damaged signature": (("accept", "damaged.signed", "--name", "Ada"), 2, "sign what was offered"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused_with_one_sentence_is(volens: Command, own: SubjectKey, lobby: Path, case: str) -> None:
    assert own
    (lobby / "other.key").write_bytes(SubjectKey.from_seed(b"\x0b" * 32).to_pem())
    assert volens(*OFFER).code == 0
    assert volens(*SIGN).code == 0
    offer = json.loads((lobby / "own.offer.json").read_text())
    (lobby / "changed.json").write_text(json.dumps(offer | {"notice": "We do nothing.\n"}))
    token = (lobby / "own.signed").read_text().strip()
    (lobby / "damaged.signed").write_text(token[:-3] + ("AA" if token[-3:-1] != "AA" else "BB") + token[-1])
    arguments, code, words = WRONG[case]
    yes = ("--yes-i-read-it",) if arguments[0] == "sign" else ()
    refused = volens("consent", *arguments, *yes, "--out", "made.file")
    assert (refused.code, words in refused.err) == (code, True), refused.err
    assert len(refused.err.strip().split("\n")) <= 3
    assert not (lobby / "made.file").exists()


def test_a_guardian_signs_beside_a_person_under_age(volens: Command, lobby: Path) -> None:
    give = ("consent", "give", "--name", "Bob", "--jurisdiction", "FR", "--zone", "lobby", "--yes-i-read-it")
    give += ("--new-key", "bob.key", "--out", "bob.json", "--minor")
    refused = volens(*give, "--guardian-new-key", "guardian.key")
    assert (refused.code, "takes no one younger than 15 years" in refused.err) == (1, True)
    assert not (lobby / "guardian.key").exists()
    assert volens("declare", "zone", "lobby", "minors", "guardian").code == 0
    assert "together with a guardian" in volens(*give).err
    assert volens(*give, "--guardian-new-key", "bob.key").code == 2
    assert volens(*give[:-1], "--guardian-new-key", "guardian.key").code == 2
    assert not (lobby / "bob.key").exists()
    given = volens(*give, "--guardian-new-key", "guardian.key")
    assert given.code == 0, given.err
    assert (lobby / "guardian.key").stat().st_mode & 0o077 == 0
