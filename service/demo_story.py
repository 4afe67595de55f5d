"""The demo: refuse, sign, enroll, identify, withdraw, prove; each step is checked and printed in a line or two."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.console import Console
from rich.table import Table

from volens import Extractor, FaceDecision, Identification, RgbImage, SubjectKey, TakeHome
from volens.audit import VerifierKey
from volens.consent import NoLiveConsentError
from volens.consent.receipt_signature import SignatureForm
from volens.erase.proof import verify_certificate
from volens.face import ModelCache
from volens.face.downloads import Source
from volens.service import samples
from volens.service.demo_photos import make_folder
from volens.service.demo_site import ZONE, admit, new_site
from volens.service.drawing import annotated, side_by_side, write_png
from volens.store.files import write_public

AGREED: Final = ("Ada", "Bea")
"""Who agreed, in the frame of the group from left to right; the third person did not."""
LEAVER: Final = "Bea"

_Decided: TypeAlias = tuple[Identification, list[str | None]]
"""The decisions on a frame, and the name of each face."""


class StoryFailedError(Exception):
    """A step of the demo had a wrong result."""


@dataclass
class _Person:
    photos: list[RgbImage] = field(repr=False)
    again: RgbImage = field(repr=False)
    take_home: TakeHome | None = None


def play_story(
    out: Path,
    source: Source = "registry",
    progress: Callable[[str], None] | None = None,
    *,
    quiet: bool = False,
) -> Mapping[str, Any]:
    """Run the demo in a new temporary home; write a picture, the certificate and the public key to `out`.

    Returns:
        The results of each step.

    Raises:
        StoryFailedError: a step had a wrong result.
        VolensError: something is missing on this machine.
    """
    make_folder(out)
    ModelCache.default().pull(source, progress)
    samples.default_cache().pull(source, progress)
    with tempfile.TemporaryDirectory(prefix="volens-demo-") as folder:
        story = _Story(Path(folder) / "home", out, Console(quiet=quiet, highlight=False, soft_wrap=True))
        try:
            return story.play()
        finally:
            story.site.close()


class _Story:
    def __init__(self, home: Path, out: Path, console: Console) -> None:
        self.out = out
        self.console = console
        self.start = time.perf_counter()
        self.extractor = Extractor.load_default()
        self.site, self.zone = new_site(home, lambda: self.extractor)
        self.frame = samples.group()
        portraits = (samples.astronaut(), samples.admiral())
        self.people = {name: _person(portrait) for name, portrait in zip(AGREED, portraits, strict=True)}
        self.facts: dict[str, Any] = {"faces_in_frame": len(self.extractor.detect(self.frame))}

    def play(self) -> Mapping[str, Any]:
        for photo in samples.PHOTOS:
            self.console.print(f"Sample photo: {photo.origin}.")
        self._without_consent()
        self._enroll()
        self._identify()
        before = self._frame("4", "Three people in front of the door; two of them agreed", {*AGREED})
        self._withdraw()
        after = self._frame("6", "The same frame again", {*AGREED} - {LEAVER})
        self._prove()
        self._draw(before, after)
        self.facts["seconds"] = round(time.perf_counter() - self.start, 1)
        self.console.print(
            f"\nWritten to {self.out}: annotated.png, certificate.json, site.pub. "
            f"The demo site is deleted. {self.facts['seconds']} s."
        )
        self.console.print("The whole story in a browser: volens demo --serve")
        return self.facts

    def _without_consent(self) -> None:
        self._title("1", "Without consent, not even an embedding of Ada's photos is computed")
        key = SubjectKey.from_seed(os.urandom(32))
        offer = self.site.offer_consent(
            self.site.notice(ZONE, "en"), public_key=key.public, form=SignatureForm.PERSON_KEY, jurisdiction="FR"
        )
        unrecorded = offer.sign(key)
        try:
            self.site.enroll(unrecorded, self.people[AGREED[0]].photos)
        except NoLiveConsentError as error:
            self.console.print(f"  refused: {error}")
        else:
            raise StoryFailedError("a person was enrolled without consent")
        computed = self.extractor.embeddings_computed
        _expect(computed == 0, f"{computed} embeddings were computed without consent")
        self.console.print(f"  embeddings computed: {computed}")
        self.facts["refused_without_consent"] = {"embeddings_computed": computed}

    def _enroll(self) -> None:
        self._title("2", "Two people read the notice, sign with their own keys, and are enrolled")
        for name, person in self.people.items():
            person.take_home, enrolled = admit(self.site, name, person.photos)
            self.console.print(
                f"  {name}: reference {enrolled.reference_id} from {enrolled.photo_count} photos, sealed with a key "
                "derived from the signed receipt"
            )
        self.facts["enrolled"] = list(self.people)

    def _identify(self) -> None:
        self._title("3", "Each of them comes to the door")
        self.console.print(
            "  (the photos are one picture rotated, lit and scaled differently, which is easier than real life)"
        )
        scores = {}
        for name, person in self.people.items():
            face = self._only_face(person.again)
            _expect(face.match is not None and self.site.name_of(face.match) == name, f"{name} was not recognised")
            scores[name] = round(face.comparison_score or 0.0, 3)
            self.console.print(
                f"  {name}: match, score {scores[name]:.2f}, {face.decision.sealed_opened} sealed embedding(s) opened"
            )
        self.facts["recognised"] = scores

    def _frame(self, number: str, title: str, expected: set[str]) -> _Decided:
        self._title(number, title)
        found = self.site.identify(ZONE, self.frame)
        names = self._names(found)
        known = {name for name in names if name is not None}
        _expect(known == expected, f"expected {sorted(expected)} in the frame, found {sorted(known)}")
        strangers = sum(name is None for name in names)
        self.console.print(
            f"  {', '.join(sorted(known))}: match. Faces without a match: {strangers}, and no data of them is stored"
        )
        self.facts[f"frame_{number}"] = {"matched": sorted(known), "no_match": strangers}
        return found, names

    def _withdraw(self) -> None:
        self._title("5", f"{LEAVER} withdraws with the code from the receipt: no login, no reason needed")
        take_home = self.people[LEAVER].take_home
        if take_home is None or take_home.code is None:
            raise StoryFailedError(f"{LEAVER} has no receipt")
        start = time.perf_counter()
        erased = self.site.withdraw(code=take_home.code.reveal()).erased
        seconds = time.perf_counter() - start
        shutil.copyfile(erased.certificate_path, self.out / "certificate.json")
        (self.out / "certificate.json").chmod(0o600)
        public = (self.site.home / "site.pub").read_bytes()
        write_public(self.out / "site.pub", public, replace=True)
        self.console.print(f"  withdrawn, erased, searched and certified in {1000 * seconds:.0f} ms")

    def _prove(self) -> None:
        self._title("7", "The proof, checked with only the certificate and the public key")
        key = VerifierKey.parse((self.out / "site.pub").read_text(encoding="utf-8").strip())
        checked = verify_certificate((self.out / "certificate.json").read_bytes(), key)
        log = self.site.log.verify()
        take_home = self.people[LEAVER].take_home
        signed = b"" if take_home is None else take_home.receipt.token.encode("ascii")
        _expect(sha256(signed).hexdigest() == checked.receipt_sha256, "the certificate is for another receipt")
        grid = Table("searched for", "pieces", "found", box=None, padding=(0, 2))
        for one in checked.statement["searched"]:
            grid.add_row(str(one["what"]), str(one["pieces"]), str(one["found"]))
        self.console.print(f"  certificate {checked.certificate_id}: valid, in a verified log of {log.size} entries")
        self.console.print(grid)
        places = ", ".join(str(one["name"]) for one in checked.statement["searched_in"])
        self.console.print(f"  searched in: {places}\n  not promised: {checked.statement['not_promised']}")
        self.facts["certificate"] = {"id": checked.certificate_id, "searched": checked.statement["searched"]}
        self.facts["log_size"] = log.size

    def _draw(self, before: _Decided, after: _Decided) -> None:
        """Draw both frames. The dashed box shows what the demo knows, because it placed the photo."""
        from_left = sorted(range(len(after[0].faces)), key=lambda number: after[0].faces[number].box)
        left = annotated(self.frame, *before)
        right = annotated(self.frame, *after, dashed={from_left[AGREED.index(LEAVER)]})
        titles = (f"before: {' and '.join(AGREED)} agreed", f"after {LEAVER} withdrew")
        caption = (
            f"Dashed box: {LEAVER} stands here. The door sees a face without a match, and cannot tell that it is hers; "
            "the demo knows, because it placed the photo. Portraits: NASA (Eileen Collins) and US Navy (Grace Hopper), "
            "public domain; photographer: CC0. They play the parts."
        )
        write_png(side_by_side(left, right, titles, caption), self.out / "annotated.png")

    def _only_face(self, photo: RgbImage) -> FaceDecision:
        faces = self.site.identify(ZONE, photo).faces
        _expect(bool(faces), "no face was found in a photo of one person")
        return faces[0]

    def _names(self, found: Identification) -> list[str | None]:
        return [None if face.match is None else self.site.name_of(face.match) for face in found.faces]

    def _title(self, number: str, text: str) -> None:
        self.console.print(f"\n[bold]{number}. {text}[/bold]")


def _person(image: RgbImage) -> _Person:
    *photos, again = samples.views(image, 4)
    return _Person(photos, again)


def _expect(condition: bool, failure: str) -> None:  # noqa: FBT001  reads as a sentence
    if not condition:
        raise StoryFailedError(failure)
