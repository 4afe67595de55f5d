"""Volens: a consent-gated face-embedding store. The public interface of the library: `from volens import Site`.

Each room is a subpackage (`volens.consent`, `volens.store` ...). Public names are loaded on first use, so that
`import volens.consent` loads neither FAISS nor a model.

Example::

    import os
    from volens import Site, SubjectKey, read_image
    with Site.open(home) as site:
        notice = site.notice("lobby")  # show it to the person, and ask
        key = SubjectKey.from_seed(os.urandom(32))  # the person's own
        receipt = site.give_consent(notice, name="Ada Example", jurisdiction="FR", key=key).to_json()
        site.enroll(receipt, [read_image(path) for path in photos])
        (face,) = site.identify("lobby", read_image(frame)).faces
        print(face.subject_id, face.comparison_score, site.withdraw(receipt=receipt).certificate_path)
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

_HOMES: Final = {
    "Badge": ("volens.consent", "Badge"),
    "Certificate": ("volens.erase.proof", "Certificate"),
    "Decision": ("volens.index", "Decision"),
    "Enrolled": ("volens.enroll", "Enrolled"),
    "Erased": ("volens.erase.proof", "Erased"),
    "Extractor": ("volens.face", "Extractor"),
    "FaceDecision": ("volens.identify", "FaceDecision"),
    "Identification": ("volens.identify", "Identification"),
    "LogReport": ("volens.store.log", "LogReport"),
    "Match": ("volens.index", "Match"),
    "Notice": ("volens.consent", "Notice"),
    "PersonSecret": ("volens.consent", "PersonSecret"),
    "QualityReport": ("volens.face", "QualityReport"),
    "RgbImage": ("volens.face", "RgbImage"),
    "SecondFactor": ("volens.consent", "SecondFactor"),
    "ShownFactor": ("volens.consent", "ShownFactor"),
    "Site": ("volens.site", "Site"),
    "SiteStatus": ("volens.site_status", "SiteStatus"),
    "SubjectKey": ("volens.consent", "SubjectKey"),
    "SweepReport": ("volens.erase", "SweepReport"),
    "TakeHome": ("volens.consent", "TakeHome"),
    "VerifierKey": ("volens.audit", "VerifierKey"),
    "VolensError": ("volens.consent", "VolensError"),
    "Zone": ("volens.consent", "Zone"),
    "ZoneStatus": ("volens.site_status", "ZoneStatus"),
    "read_image": ("volens.face", "read_image"),
    "verify_certificate": ("volens.erase.proof", "verify_certificate"),
}


def __getattr__(name: str) -> object:
    """Load a public name from its room. A submodule is never looked for here: that would import this package again."""
    if name not in _HOMES:
        raise AttributeError(f"module 'volens' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(_HOMES)
