"""Every kind of root key holder: create, open, rotate; unreachable, lost, wrong. No partial site, no leaked key."""

import shutil
from pathlib import Path

import pytest
from command_line import exit_code_of
from house import House, no_models

from tests.unit.store.root_key.conftest import Held
from volens import Site, verify_certificate
from volens.consent import InputError, TamperError, UnavailableError, VolensError
from volens.store import ask_root_key_holder
from volens.store.keys.root_key import RECORD_FILE


def opened(home: Path, house: House) -> House:
    site = Site.open(home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes)
    return House.of(site, house.people)


def everything(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def test_a_site_works_with_each_holder_and_the_home_has_no_key_or_credential(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    person = house.admit()
    assert house.sees(person)
    house.reopen()
    assert house.sees(person)
    assert house.site.keys.status().root_key == held.url == ask_root_key_holder(home)
    house.site.close()
    assert not (home / "root.key").exists()
    assert (home / RECORD_FILE).stat().st_mode & 0o077 == 0
    assert b"volens-root-key-1:" not in everything(home)
    assert not any(canary.encode() in everything(home) for canary in held.canaries)


def test_after_a_root_key_rotation_the_old_key_opens_nothing(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    people = [house.admit() for _ in range(2)]
    house.store.keyring.engine.scrub()
    stolen = Path(shutil.copytree(home, tmp_path / "stolen"))
    for _ in range(2):
        house.site.keys.rotate(root=True)
        house.reopen()
        assert all(house.sees(person) for person in people)
    assert house.site.keys.status().epoch == 3
    house.site.close()

    # The thief has an old copy of the home and the current record, and may use the holder.
    shutil.copy(home / RECORD_FILE, stolen / RECORD_FILE)
    with pytest.raises(TamperError, match="does not open with this root key"):
        opened(stolen, house)


def test_an_unreachable_holder_is_reported_and_the_site_works_later(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    person = house.admit()
    house.site.close()
    before = everything(home)

    held.stop()
    for act in (lambda: opened(home, house), lambda: ask_root_key_holder(home)):
        with pytest.raises(UnavailableError, match=held.down) as caught:
            act()
        assert (exit_code_of(caught.value), str(caught.value).count("\n")) == (6, 0)
        assert not any(canary in repr(caught.value) for canary in held.canaries)
    held.start()

    assert everything(home) == before
    again = opened(home, house)
    assert again.sees(person)
    again.site.close()


def test_a_running_site_works_while_its_holder_is_unreachable(held: Held, tmp_path: Path) -> None:
    house = House.build(tmp_path / "home", root_key=held.url)
    person = house.admit()

    held.stop()
    with pytest.raises(UnavailableError):
        house.site.keys.rotate(root=True)
    assert house.sees(person)
    assert not house.site.keys.status().unfinished
    assert not house.site.keys.rotate(root=False).new_root
    held.start()
    assert house.site.keys.rotate(root=True).new_root
    house.reopen()
    assert house.sees(person)
    house.site.close()


def test_an_erasure_destroys_the_store_key_also_if_the_holder_is_silent(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    ada, ben = house.admit(), house.admit()
    held.stop()

    erased = house.withdraw(ada)

    keys = verify_certificate(erased.certificate_path.read_bytes(), house.store.verifier_key).statement["keys"]
    assert (keys["store_key_destroyed"], keys["root_key_destroyed"]) == (1, False)
    assert "its holder did not answer" in keys["root_key"]
    assert (house.site.keys.status().epoch, house.site.keys.status().root_key_due) == (2, True)
    assert house.sees(ben)
    house.site.sweep()
    assert house.site.keys.status().root_key_due

    held.start()
    house.store.keyring.engine.scrub()
    stolen = Path(shutil.copytree(home, tmp_path / "stolen"))
    house.site.sweep()

    assert (house.site.keys.status().epoch, house.site.keys.status().root_key_due) == (3, False)
    assert house.sees(ben)
    house.reopen()
    assert house.sees(ben)
    house.site.close()
    shutil.copy(home / RECORD_FILE, stolen / RECORD_FILE)
    with pytest.raises(TamperError, match="does not open with this root key"):
        opened(stolen, house)


def test_after_an_erasure_the_old_root_key_is_gone_from_its_holder(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    ada, ben = house.admit(), house.admit()
    house.store.keyring.engine.scrub()
    stolen = Path(shutil.copytree(home, tmp_path / "stolen"))

    keys = verify_certificate(house.withdraw(ada).certificate_path.read_bytes(), house.store.verifier_key).statement[
        "keys"
    ]

    assert keys["root_key_destroyed"]
    assert keys["root_key_holder"] == held.url.partition(":")[0]
    house.reopen()
    assert house.sees(ben)
    house.site.close()
    # The thief has an old copy of the home and the current record, and may use the holder.
    shutil.copy(home / RECORD_FILE, stolen / RECORD_FILE)
    with pytest.raises(TamperError, match="does not open with this root key"):
        opened(stolen, house)


def test_a_lost_key_is_reported_and_nothing_is_changed(held: Held, tmp_path: Path) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    house.site.close()
    held.lose()

    with pytest.raises(UnavailableError, match=held.lost) as caught:
        opened(home, house)
    assert exit_code_of(caught.value) == 6


def test_a_site_without_a_root_key_is_not_made(held: Held, tmp_path: Path) -> None:
    held.stop()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UnavailableError):
        House.build(tmp_path / "home", root_key=held.url)
    assert sorted(tmp_path.iterdir()) == before
    held.start()
    House.build(tmp_path / "home", root_key=held.url).site.close()


def test_a_site_that_fails_after_its_root_key_was_made_leaves_no_key(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnavailableError("injected: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("volens.store.site_home.write_public_key", fail)
        with pytest.raises(UnavailableError, match="injected"):
            House.build(tmp_path / "home", root_key=held.url)
    assert not (tmp_path / "home").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    # The same URL can be used again: no key is left there.
    House.build(tmp_path / "home", root_key=held.url).site.close()


def test_two_sites_do_not_share_a_root_key(held: Held, tmp_path: Path) -> None:
    first = House.build(tmp_path / "home", root_key=held.url)
    first.site.close()
    if held.url.startswith(("vault:", "aws-kms:")):
        second = House.build(tmp_path / "second", seed=2, root_key=held.url)
        second.site.close()
        # The wrapped key of one site does not unwrap as the other's.
        texts = [(tmp_path / name / RECORD_FILE).read_text() for name in ("home", "second")]
        ids = [site.store.site.controller.site_id for site in (first, second)]
        (tmp_path / "home" / RECORD_FILE).write_text(texts[1].replace(ids[1], ids[0]))
        with pytest.raises(TamperError, match="does not unwrap this root key") as caught:
            opened(tmp_path / "home", first)
        assert exit_code_of(caught.value) == 4
    else:
        with pytest.raises(InputError, match="already"):
            House.build(tmp_path / "second", seed=2, root_key=held.url)
        assert not (tmp_path / "second").exists()


def test_a_changed_record_is_tampering(tmp_path: Path, held: Held) -> None:
    home = tmp_path / "home"
    house = House.build(home, root_key=held.url)
    house.site.close()
    good = (home / RECORD_FILE).read_text()
    for bad in ("", "{}", "[]", good.replace(held.url, "ftp:nowhere"), good.replace('"version": 1', '"version": 2')):
        (home / RECORD_FILE).write_text(bad)
        with pytest.raises(VolensError, match=r"integrity: root-key\.json") as caught:
            opened(home, house)
        assert exit_code_of(caught.value) == 4
