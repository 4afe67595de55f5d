"""Jurisdiction profiles: what the law of a place wants of a consent, as data. Pure: it reads only its own files."""

from volens.consent.law.jurisdiction_profile import MAX_PROFILE_BYTES as MAX_PROFILE_BYTES
from volens.consent.law.jurisdiction_profile import PLACEHOLDERS as PLACEHOLDERS
from volens.consent.law.jurisdiction_profile import JurisdictionProfile as JurisdictionProfile
from volens.consent.law.jurisdiction_profile import base_of as base_of
from volens.consent.law.jurisdiction_profile import parse_profile as parse_profile
from volens.consent.law.law_terms import CLOCK_NAMES as CLOCK_NAMES
from volens.consent.law.law_terms import LANGUAGES as LANGUAGES
from volens.consent.law.law_terms import Authority as Authority
from volens.consent.law.law_terms import Clocks as Clocks
from volens.consent.law.law_terms import Gate as Gate
from volens.consent.law.law_terms import GateKind as GateKind
from volens.consent.law.law_terms import Guardian as Guardian
from volens.consent.law.law_terms import Minors as Minors
from volens.consent.law.law_terms import PublicPolicy as PublicPolicy
from volens.consent.law.law_terms import Right as Right
from volens.consent.law.law_terms import Source as Source
from volens.consent.law.law_terms import Texts as Texts
from volens.consent.law.law_terms import shortest as shortest
from volens.consent.law.profile_catalogue import ProfileCatalogue as ProfileCatalogue
from volens.consent.law.profile_catalogue import shipped_profiles as shipped_profiles
