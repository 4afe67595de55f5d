"""Volens: a consent-gated face-embedding store. The public interface of the library: `from volens import Site`.

Each room is a subpackage (`volens.consent`, `volens.store` ...). Public names are imported on first use, so that
`import volens.consent` loads neither FAISS nor OpenCV.

Example::

    import os
    from volens import Site, SubjectKey, read_image
    with Site.open(home) as site:
        notice = site.notice("lobby")  # show it to the person, who may agree
        key = SubjectKey.from_seed(os.urandom(32))  # belongs to the person
        receipt = site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key).to_json()
        site.enroll(receipt, [read_image(path) for path in photos])
        (face,) = site.identify("lobby", read_image(frame)).faces
        print(face.subject_id, face.comparison_score, site.withdraw(receipt=receipt).erased.certificate_path)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from volens.audit import VerifierKey as VerifierKey
    from volens.consent import Badge as Badge
    from volens.consent import Notice as Notice
    from volens.consent import PersonSecret as PersonSecret
    from volens.consent import SecondFactor as SecondFactor
    from volens.consent import ShownFactor as ShownFactor
    from volens.consent import SubjectKey as SubjectKey
    from volens.consent import TakeHome as TakeHome
    from volens.consent import VolensError as VolensError
    from volens.consent import Zone as Zone
    from volens.enroll import Enrolled as Enrolled
    from volens.erase import SweepReport as SweepReport
    from volens.erase.proof import Certificate as Certificate
    from volens.erase.proof import Erased as Erased
    from volens.erase.proof import verify_certificate as verify_certificate
    from volens.face import Extractor as Extractor
    from volens.face import QualityReport as QualityReport
    from volens.face import RgbImage as RgbImage
    from volens.face import read_image as read_image
    from volens.identify import FaceDecision as FaceDecision
    from volens.identify import Identification as Identification
    from volens.index import Decision as Decision
    from volens.index import Match as Match
    from volens.site import Site as Site
    from volens.site_status import SiteStatus as SiteStatus
    from volens.site_status import ZoneStatus as ZoneStatus
    from volens.store.log import LogReport as LogReport

_MODULES: Final = {
    name: f"volens.{module}"
    for module, names in {
        "audit": "VerifierKey",
        "consent": "Badge Notice PersonSecret SecondFactor ShownFactor SubjectKey TakeHome VolensError Zone",
        "enroll": "Enrolled",
        "erase": "SweepReport",
        "erase.proof": "Certificate Erased verify_certificate",
        "face": "Extractor QualityReport RgbImage read_image",
        "identify": "FaceDecision Identification",
        "index": "Decision Match",
        "site": "Site",
        "site_status": "SiteStatus ZoneStatus",
        "store.log": "LogReport",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (lazy import, PEP 562).

    It must not import the submodule `name` instead: the import system calls this first, so that would never end.
    """
    if name not in _MODULES:
        raise AttributeError(f"module 'volens' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(_MODULES)
