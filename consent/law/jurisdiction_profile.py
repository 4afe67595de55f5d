"""A jurisdiction profile: what the law of one country, or a part of it, wants of a consent to face recognition.

A profile is a TOML file. Volens ships some (`volens.consent.law.profiles`), and a site can add its own. A profile with
``based_on`` takes what it leaves out from that profile: lists as a whole, clocks one by one. Never taken over are the
code, the names, and what was checked, because those are statements about one law.

Not legal advice: `checked` says what was read on which day, `not_checked` what was not.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from volens.consent.errors import InputError, RefusedError
from volens.consent.law.law_terms import Authority, Clocks, Gate, Minors, PublicPolicy, Right, Source, Texts
from volens.consent.law.profile_table import ProfileTable
from volens.consent.plain_text import plain_text
from volens.consent.reason import Reason
from volens.consent.zone import Custody

PLACEHOLDERS: Final = ("controller", "zone", "days", "purpose")
"""What the words that a person signs must name; each is written in braces in `release`."""
MAX_PROFILE_BYTES: Final = 64 * 1024
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@final
@dataclass(frozen=True, slots=True)
class JurisdictionProfile:
    """One jurisdiction.

    Attributes:
        code: ISO 3166, such as ``FR`` or ``US-IL``; ``EU`` is the profile of states that have none of their own.
        based_on: the code of the profile from which it takes what it leaves out; None for a complete one.
        members: ISO codes of the countries for which it is used if they have no profile of their own.
        law: the statutes, in one line.
        lawful_basis: the words of the receipt.
        legal_basis_terms: terms of the Data Privacy Vocabulary (DPV); empty where it has none for this law.
        release: the words that the person signs; see `release_text`.
        rights: only rights that Volens has a command for.
        forbidden_custodies: each custody that the law forbids, with the article.
        evidence: what to keep, so that a consent can be proved later.
    """

    code: str
    based_on: str | None
    members: tuple[str, ...]
    names: Texts
    law: str
    lawful_basis: str
    legal_basis_terms: tuple[str, ...]
    release: Texts
    clocks: Clocks
    rights: tuple[Right, ...]
    authority: Authority
    minors: Minors
    public_policy: PublicPolicy
    gates: tuple[Gate, ...]
    forbidden_custodies: Mapping[Custody, str]
    evidence: tuple[str, ...]
    checked: tuple[Source, ...]
    not_checked: tuple[str, ...]

    def release_text(self, language: str, *, controller: str, zone: str, days: int, purpose: str) -> str:
        """Return the words that the person signs.

        Args:
            language: one of `volens.consent.law.LANGUAGES`.
            controller: the organisation's name.
            zone: the name of the zone, as the person knows it.
            days: the term that the person signs.
            purpose: what the face is used for, in words.
        """
        values = {"controller": controller, "zone": zone, "days": str(days), "purpose": purpose}
        return _PLACEHOLDER.sub(lambda found: values[found[1]], self.release[language])

    def check_custody(self, custody: Custody, zone: str) -> None:
        """Refuse a custody that this law forbids.

        Raises:
            RefusedError: it is forbidden; the message names the article.
        """
        article = self.forbidden_custodies.get(custody)
        if article is not None:
            raise RefusedError(
                f"zone {zone!r} has custody {custody.value!r}, which the profile of {self.code} forbids ({article}); "
                f"use a zone with another custody for people of {self.code}; 'volens jurisdictions show {self.code}' "
                "shows the profile",
                reason=Reason.CUSTODY_FORBIDDEN,
            )


def parse_profile(data: bytes, parent: JurisdictionProfile | None) -> JurisdictionProfile:
    """Return the profile of a TOML file.

    Args:
        data: the file.
        parent: the profile that ``based_on`` of the file names (`base_of`); None if the file names none.

    Raises:
        InputError: the file is not TOML, or something in it is missing, of another form, or unknown; one sentence.
    """
    table = ProfileTable.of(read_toml(data))
    base = table.base()
    if (None if parent is None else parent.code) != base:
        raise table.problem(f"based_on {base!r}", f"the profile {base!r} together with it", "add that profile first")
    profile = JurisdictionProfile(
        code=table.code,
        based_on=base,
        members=table.members(),
        names=table.texts("names", None),
        law=table.text("law", parent and parent.law),
        lawful_basis=table.text("lawful_basis", parent and parent.lawful_basis),
        legal_basis_terms=table.terms("legal_basis_terms", parent and parent.legal_basis_terms),
        release=_checked_release(table, table.texts("release", parent and parent.release)),
        clocks=table.clocks(parent and parent.clocks),
        rights=table.rights(parent and parent.rights),
        authority=table.authority(parent and parent.authority),
        minors=table.minors(parent and parent.minors),
        public_policy=table.public_policy(parent and parent.public_policy),
        gates=table.gates(parent and parent.gates),
        forbidden_custodies=table.custodies(parent and parent.forbidden_custodies),
        evidence=table.sentences("evidence", parent and parent.evidence),
        checked=table.checked(),
        not_checked=table.sentences("not_checked", None),
    )
    table.check_all_read()
    return profile


def base_of(data: bytes) -> str | None:
    """Return the code that ``based_on`` of a file names; None if it names none.

    Raises:
        InputError: the file is not TOML, or names no code.
    """
    return ProfileTable.of(read_toml(data)).base()


def read_toml(data: bytes) -> dict[str, object]:
    """Return the table of a TOML file.

    Raises:
        InputError: it is too large, not UTF-8, or not TOML; the message names the line.
    """
    if len(data) > MAX_PROFILE_BYTES:
        raise InputError(f"the profile has {len(data)} bytes; expected at most {MAX_PROFILE_BYTES}; use shorter texts")
    try:
        return tomllib.loads(plain_text(data, "the profile"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the profile is not TOML ({error}); correct that line and check it again") from None
    except RecursionError:
        raise InputError("the profile is nested too deeply; expected the form of docs/jurisdictions.md") from None


def _checked_release(table: ProfileTable, release: Texts) -> Texts:
    for language, text in release.items():
        found, rest = set(_PLACEHOLDER.findall(text)), _PLACEHOLDER.sub("", text)
        if found != set(PLACEHOLDERS) or "{" in rest or "}" in rest:
            wanted = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            got = ", ".join(f"{{{one[:20]}}}" for one in sorted(found)) or "no placeholder"
            raise table.problem(f"release.{language} with {got}", f"exactly {wanted}", "correct that text")
    return release
