"""Processes that enroll, identify and erase, and then report what is left in their own memory.

Started as ``python remembering.py SCENARIO HOME``; each prints one JSON object of the findings by step. It runs alone,
because the search would also find values and messages that a test framework keeps.
"""

import ctypes
import gc
import json
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import house as made_up
import numpy as np
from connections import lock_timeout
from declared_gates import open_gates
from house import House
from own_memory import OwnMemory, hide
from sqlalchemy import func, select

from volens import Site, SubjectKey
from volens.consent import ErasureIncompleteError, ReceiptId, UnitVector
from volens.face import EmbeddingModel, Extractor, FaceEmbedder, Pixels
from volens.index import opened
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys import Secret
from volens.store.keys.root_key.key_file import encode_root_key
from volens.store.people import sealed_references
from volens.store.schema import live_consent

Report = dict[str, dict[str, int]]


def made_up_faces() -> Report:
    """Enroll, identify and withdraw one of some people."""
    return _withdrawn(House.build(_home()))


def made_up_large_faces() -> Report:
    """Do the same with embeddings larger than the blocks that an allocator reuses at once."""
    made_up.DIMENSION = 512
    return _withdrawn(House.build(_home()))


def reopened() -> Report:
    """Withdraw in a process that has the gallery from the store, not from an enrollment."""
    house = House.build(_home())
    for _ in range(3):
        house.admit()
    person = house.people[0]
    house.sees(person)
    memory, report = OwnMemory(), Report()
    _wipe(_look_for(memory, house.site, person.receipt_id))
    house.reopen()
    house.sees(house.people[1])
    _forget_ours(house)
    report["before"] = _search(memory)
    house.site.withdraw(code=person.code)
    report["after"] = _search(memory)
    return report


def refused_midway() -> Report:
    """Withdraw while a reader blocks the scrub, and finish when the reader has ended."""
    house = House.build(_home())
    for _ in range(3):
        house.admit()
    person = house.people[0]
    house.sees(person)
    memory, report = OwnMemory(), Report()
    _wipe(_look_for(memory, house.site, person.receipt_id))
    _forget_ours(house)
    with lock_timeout(0.1), house.store.read() as connection:
        connection.scalar(select(func.count()).select_from(live_consent))  # from here on it needs the log
        try:
            house.withdraw(person)
        except ErasureIncompleteError:
            report["refused"] = _search(memory)
    house.site.sweep()
    report["after"] = _search(memory)
    return report


def real_faces() -> Report:
    """Enroll real photos with the real models; identify, also from two threads; verify; withdraw."""
    extractor, memory, report = Extractor.load_default(), OwnMemory(), Report()
    site = Site.create(_home(), name="Example Ltd", contact="privacy@example.org")
    site._load_extractor = lambda: extractor
    site.add_zone("lobby", custody="operator", justification="none", alternative="a badge", retention_days=9)
    open_gates(site, "lobby")
    notice = publish_sample_notice(site, "lobby", more="We compare your face at the door.")
    key = SubjectKey.from_seed(os.urandom(32))
    receipt = site.give_consent(notice, name="Ada", jurisdiction="FR", key=key)
    extractor._embedder = _Watched(extractor._embedder, memory)
    photos = samples.views(samples.astronaut(), 4)
    site.enroll(receipt.to_json(), photos[:3])
    site.identify("lobby", photos[3])
    _wipe(_look_for(memory, site, receipt.receipt.claims.receipt_id))
    site.verify_claim(receipt.to_json(), photos[3])
    threads = [threading.Thread(target=site.identify, args=("lobby", photos[3])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report["before"] = _search(memory)
    site.withdraw(receipt=receipt.to_json())
    report["after"] = _search(memory)
    return report


class _Watched:
    """An embedder; every embedding of it is searched for, photo by photo."""

    def __init__(self, embedder: FaceEmbedder, memory: OwnMemory) -> None:
        self._embedder = embedder
        self._memory = memory

    @property
    def model(self) -> EmbeddingModel:
        return self._embedder.model

    def embed(self, aligned: Pixels) -> UnitVector:
        vector = self._embedder.embed(aligned)
        self._memory.look_for("embedding", hide(vector.array))
        return vector


def _withdrawn(house: House) -> Report:
    for _ in range(3):
        house.admit()
    person = house.people[0]
    house.sees(person)
    memory, report = OwnMemory(), Report()
    held = _look_for(memory, house.site, person.receipt_id)
    report["held"] = _search(memory)
    _wipe(held)
    _forget_ours(house)
    report["before"] = _search(memory)
    house.withdraw(person)
    report["after"] = _search(memory)
    house.look_at(house.face())
    report["later"] = _search(memory)
    return report


def _look_for(memory: OwnMemory, site: Site, receipt_id: ReceiptId) -> list[Secret | UnitVector]:
    """Search for all values of a person; return the copies made for it, which the caller wipes."""
    with site.installation.store.read() as connection:
        references = sealed_references(connection, [receipt_id])
    secret = site.installation.store.keyring.grant_secret(receipt_id)
    memory.look_for("grant secret", hide(secret.buffer))
    wrapped = site.installation.store.keyring.wrapped_secrets([receipt_id]).get(receipt_id)
    assert wrapped is not None
    memory.look_for("wrapped grant secret", hide(wrapped))
    _overwrite(wrapped)
    _look_for_keys(memory, site)
    held: list[Secret | UnitVector] = [secret]
    for reference, vector in opened(site.installation.store, references):
        key = secret.reference_key(reference.receipt.sha256, reference.model_id)
        memory.look_for("reference key", hide(key.buffer))
        memory.look_for("embedding", hide(vector.array))
        wide = vector.array.astype(np.float64)
        memory.look_for("embedding in double precision", hide(wide))
        wide.fill(0)
        for gallery in site.installation.galleries.built().values():
            sketch = gallery.projection.sketch(vector.array)
            memory.look_for("sketch", hide(sketch))
            sketch.fill(0)
            rotated = gallery.projection.rotated(vector.array)
            memory.look_for("rotated embedding", hide(rotated))
            rotated.fill(0)
        held += [key, UnitVector(vector.array)]
    return held


def _look_for_keys(memory: OwnMemory, site: Site) -> None:
    """Look for the keys above the grant secrets, which an erasure replaces, and for the text of the root key."""
    keys = site.installation.store.keyring.unlocked
    (bucket,) = [keys.bucket_key(one) for one in keys.key_ids()]
    assert bucket is not None
    for name, key in (("root key", keys.root_key), ("store key", keys.store_key), ("bucket key", bucket)):
        memory.look_for(name, hide(key.buffer))
    text = encode_root_key(keys.root_key)
    memory.look_for("text of the root key", hide(text[len("volens-root-key-1:") :]))
    text[:] = bytes(len(text))


def _wipe(held: Iterable[Secret | UnitVector]) -> None:
    for one in held:
        one.wipe()


def _overwrite(value: bytes) -> None:
    """Overwrite immutable bytes, which only a test may do, because it read them and the program would not."""
    ctypes.memset(id(value) + bytes.__basicsize__ - 1, 0, len(value))


def _forget_ours(house: House) -> None:
    """Wipe the faces that the test itself holds."""
    for person in house.people:
        own = person.face.base
        assert isinstance(own, np.ndarray)
        own.fill(0)


def _search(memory: OwnMemory) -> dict[str, int]:
    gc.collect()
    return dict(memory.search())


def _home() -> Path:
    return Path(sys.argv[2])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(globals()[sys.argv[1]]()))
