"""The catalogue of profiles: those that Volens ships, and those that a site added.

The person's jurisdiction chooses the profile: that of exactly this place, else of its country, else the one that names
the country as a member (the EU). Anything else is refused: no law is guessed.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, final

from volens.consent.errors import InputError, RefusedError, UnknownError
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.law.jurisdiction_profile import JurisdictionProfile, base_of, parse_profile
from volens.consent.reason import Reason

SHIPPED: Final = ("EU", "FR", "DE", "GB", "US-IL", "US-TX", "US-CO", "CA-QC", "BR")
"""The codes of the shipped profiles; one on which others are based comes before them."""
_FOLDER: Final = "volens.consent.law.profiles"


@cache
def shipped_profiles() -> Mapping[str, JurisdictionProfile]:
    """Return the shipped profiles by their codes."""
    found: dict[str, JurisdictionProfile] = {}
    for code in SHIPPED:
        data = files(_FOLDER).joinpath(f"{code.lower()}.toml").read_bytes()
        base = base_of(data)
        found[code] = parse_profile(data, None if base is None else found[base])
    return MappingProxyType(found)


@final
class ProfileCatalogue:
    """The shipped profiles, and a site's own; an own one of the same code counts instead of the shipped one."""

    def __init__(self, own: Iterable[JurisdictionProfile] = ()) -> None:
        self._own = {one.code: one for one in own}
        self._all = {**shipped_profiles(), **self._own}

    @property
    def profiles(self) -> tuple[JurisdictionProfile, ...]:
        """All profiles, by code."""
        return tuple(self._all[code] for code in sorted(self._all))

    @property
    def has_own(self) -> bool:
        """Whether the site added a profile."""
        return bool(self._own)

    def is_own(self, code: str) -> bool:
        """Return whether the profile of a code was added by the site."""
        return code in self._own

    def get(self, code: str) -> JurisdictionProfile:
        """Return the profile of exactly this code.

        Raises:
            UnknownError: there is none.
        """
        found = self._all.get(parse_jurisdiction(code))
        if found is None:
            raise UnknownError(f"there is no profile of this code; there are {', '.join(sorted(self._all))}")
        return found

    def profile_of(self, person_jurisdiction: str) -> JurisdictionProfile:
        """Return the profile for a person: of exactly this place, of its country, or of the union that it belongs to.

        Raises:
            InputError: the text is not an ISO 3166 code.
            RefusedError: no profile covers it.
        """
        found = self.find(person_jurisdiction)
        if found is None:
            code = parse_jurisdiction(person_jurisdiction)
            raise RefusedError(
                f"there is no jurisdiction profile for {code}, so it is not known what a person there has to sign; "
                "write one and add it with 'volens jurisdictions add FILE'",
                reason=Reason.NO_PROFILE,
            )
        return found

    def find(self, person_jurisdiction: str) -> JurisdictionProfile | None:
        """Return the profile for a person as `profile_of`, or None if no profile covers the place.

        Raises:
            InputError: the text is not an ISO 3166 code.
        """
        code = parse_jurisdiction(person_jurisdiction)
        country = code.partition("-")[0]
        found = self._all.get(code) or self._all.get(country)
        return found or next((one for one in self.profiles if country in one.members), None)

    @staticmethod
    def parse(data: bytes) -> JurisdictionProfile:
        """Return the profile of a site's own file. It can be based on a shipped profile only, also of its own code.

        Raises:
            InputError: the file is not a profile, or is based on one that is not shipped.
        """
        base = base_of(data)
        if base is not None and base not in shipped_profiles():
            raise InputError(
                f"the profile is based on {base}, which is not shipped; expected one of {', '.join(SHIPPED)}; change "
                "based_on, or write the profile in full"
            )
        return parse_profile(data, None if base is None else shipped_profiles()[base])
