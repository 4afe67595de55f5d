"""The kinds that a retention policy lists: those of the registry, with the days and articles of the profiles."""

import pytest

from volens.consent.law import shipped_profiles
from volens.rights.kept_kinds import kept_kinds
from volens.store.schema.retention import RETENTION, Kind, Period

PROFILES = sorted(shipped_profiles().items())


def test_every_kind_of_the_registry_is_in_the_policy_or_among_the_clocks_of_a_zone() -> None:
    listed = [one["volens:kind"] for one in kept_kinds(PROFILES)]
    clocks = {one.kind for one in RETENTION.values() if one.period in {Period.CONSENT, Period.ZONE}}
    assert listed == [kind.value for kind in Kind if kind not in clocks]
    assert clocks == {Kind.FACE_DATA, Kind.VISITS}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.FACE_DATA, Kind.VISITS}])
def test_the_days_are_those_that_the_sweep_uses(kind: Kind) -> None:
    (its,) = {one for one in RETENTION.values() if one.kind is kind}
    (stated,) = [one for one in kept_kinds(PROFILES) if one["volens:kind"] == kind.value]
    if its.period is Period.FIXED:
        assert stated["volens:periods"] == [{"volens:days": its.days}]
        return
    for period, (code, profile) in zip(stated["volens:periods"], PROFILES, strict=True):
        assert period["volens:jurisdiction"] == code
        assert period["volens:days"] == profile.clocks.days(its.period.value)
        assert period["dct:source"] == profile.clocks.reasons[its.period.value]
