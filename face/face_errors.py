"""Errors between a photo and a biometric reference, named by who must act."""

from volens.consent import EnrollmentError, InputError, RefusedError, TamperError, UnavailableError


class ImageError(InputError):
    """The file, frame or bytes cannot be used as a photo."""


class DownloadError(UnavailableError):
    """A model or sample photo cannot be downloaded, or the local source lacks it."""


class DownloadHashError(TamperError):
    """A downloaded file is not the one that the catalogue names."""


class ModelHashError(TamperError):
    """A model on this machine is not the one that the catalogue or the site's configuration pins by its SHA-256."""


class ModelMissingError(UnavailableError):
    """A model is not in the cache, or the library that runs it cannot load it."""


class ModelLicenceError(RefusedError):
    """The model's licence was not accepted, or is not valid."""


class NoFaceError(EnrollmentError):
    """No face was found in a photo."""


class SeveralFacesError(EnrollmentError):
    """More than one face was found in a photo, so it is not clear whose consent counts."""


class PoorQualityError(EnrollmentError):
    """The face is too small, turned, blurred, dark, bright or uncertain to make a reliable reference."""


class NotLiveError(EnrollmentError):
    """What was shown does not count as a live person at the liveness level of the zone."""


class DifferentPeopleError(EnrollmentError):
    """The photos do not all show the same person."""


class TooFewPhotosError(EnrollmentError):
    """Fewer photos than a reliable reference needs."""


class AlreadyEnrolledError(EnrollmentError):
    """The same face is already enrolled under another subject in this zone."""
