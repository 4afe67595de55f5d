"""Leases in zones that check liveness: a door that decides alone examines faces as the service does, or gets none."""

from pathlib import Path

import numpy as np
import pytest
from brightness_model import LICENCE, manifest, written
from house import THRESHOLD, House

from volens.consent import RefusedError, UnavailableError, Zone
from volens.consent.lease import LeaseDoor
from volens.face import Extractor, ModelMissingError, RgbImage
from volens.face.liveness_pack import load_liveness_pack
from volens.identify.lease_giving import GivenLease, give_lease
from volens.identify.leased_recognition import LeasedRecognizer
from volens.identify.liveness_gate import check_leasable
from volens.index.held_lease import HeldLease
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import add_reference
from volens.store.programs import Role

TERM = 60


@pytest.fixture
def leased(house: House) -> House:
    house.site.zones.set_lease("lobby", TERM)
    house.site.zones.set_liveness("lobby", "pack")
    publish_sample_notice(house.site, "lobby")
    return house


@pytest.fixture
def with_model(extractor: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extractor:
    monkeypatch.setattr(extractor, "liveness", load_liveness_pack(written(tmp_path), accept_licence=LICENCE))
    return extractor


@pytest.fixture
def door(leased: House) -> str:
    credential, _token = leased.site.programs.credentials.issue(label="left door", role=Role.DOOR, zone="lobby")
    return credential.credential_id


def give(house: House, door: str, service: Extractor, model_of_door: str | None) -> GivenLease:
    def liveness_in(zone: Zone) -> str:
        return check_leasable(zone, lambda: service, model_of_door)

    return give_lease(house.store, door, service.model.model_id, lambda _zone: THRESHOLD, liveness_in)


def model_of(extractor: Extractor) -> str:
    assert extractor.liveness is not None
    return extractor.liveness.detector_id


def recognizer(house: House, given: GivenLease, extractor: Extractor) -> LeasedRecognizer:
    store, claims = house.store, given.claims
    of = LeaseDoor(store.verifier_key.public_keys, store.site.controller.site_id, claims.purpose, claims.holder)
    held = HeldLease.opened(
        *(given.token, given.key, given.references, of),
        asked_at_s=0.0,
        dimension=extractor.model.dimension,
        clock=lambda: 0.0,
    )
    return LeasedRecognizer(held, lambda: extractor)


def test_a_door_with_a_lease_compares_only_what_the_model_takes_for_live(
    leased: House, door: str, with_model: Extractor
) -> None:
    dark = samples.admiral()
    live = RgbImage((dark.pixels * 0.5 + 127).astype(np.uint8))
    person = leased.invite()
    grant = leased.grant(person)
    embedding = with_model.consented(with_model.crop(live, with_model.detect(live)[0]), grant)
    with leased.store.keyring.grant_secret(grant.receipt_id) as secret, leased.store.write() as tx:
        add_reference(tx, embedding, secret, licence="none", photo_count=3)
    alone = recognizer(leased, give(leased, door, with_model, model_of(with_model)), with_model)
    zone = alone.searchable_zone(leased.site.zones.get("lobby").purpose)
    assert zone.liveness.value == "pack"
    (found,) = alone.identify_faces(zone, live, with_model.detect(live)[:1])
    assert found.match is not None
    before = with_model.embeddings_computed
    (refused,) = alone.identify_faces(zone, dark, with_model.detect(dark)[:1])
    assert (refused.match, refused.not_compared, with_model.embeddings_computed) == (None, "not_live", before)


def test_a_door_with_another_model_or_none_gets_no_lease_and_no_row(
    leased: House, door: str, with_model: Extractor, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    laxer = load_liveness_pack(written(other, document=manifest(min_score=0.1)), accept_licence=LICENCE)
    for model, why in ((None, "has none"), (laxer.detector_id, "other settings"), ("f" * 64, "another one")):
        with pytest.raises(RefusedError, match=why):
            give(leased, door, with_model, model)
    assert leased.site.programs.leases.list() == []


def test_a_service_without_a_model_gives_no_lease(leased: House, door: str, extractor: Extractor) -> None:
    with pytest.raises(ModelMissingError, match="--liveness-pack"):
        give(leased, door, extractor, "f" * 64)


def test_a_door_that_lost_its_model_decides_nothing_alone(leased: House, door: str, with_model: Extractor) -> None:
    given = give(leased, door, with_model, model_of(with_model))
    alone = recognizer(leased, given, type(with_model)(with_model._detector, with_model._embedder))
    with pytest.raises(UnavailableError, match="another liveness model"):
        alone.searchable_zone(given.claims.purpose)


def test_a_zone_that_asks_to_turn_the_head_has_no_leases(leased: House, door: str, with_model: Extractor) -> None:
    leased.site.zones.set_liveness("lobby", "challenge")
    with pytest.raises(RefusedError, match="a door without a screen cannot ask"):
        give(leased, door, with_model, model_of(with_model))


def test_a_zone_without_liveness_names_no_model(leased: House, door: str, with_model: Extractor) -> None:
    leased.site.zones.set_liveness("lobby", "none")
    assert give(leased, door, with_model, model_of(with_model)).claims.liveness_model == ""
