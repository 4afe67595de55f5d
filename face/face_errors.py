"""What can go wrong between a photo and a biometric reference, named by who must act."""

from volens.consent import EnrollmentError, InputError, RefusedError, TamperError, UnavailableError


class ImageError(InputError):
    """The file, frame or bytes cannot be used as a photo."""


class ModelHashError(TamperError):
    """A model file is not the one that the catalog names, or was changed after it was checked."""


class ModelMissingError(UnavailableError):
    """A model, or the program that runs it, is not on this machine or cannot be fetched."""


class ModelLicenceError(RefusedError):
    """The model's licence was not accepted, or does not hold."""


class NoFaceError(EnrollmentError):
    """No face was found in a photo."""


class SeveralFacesError(EnrollmentError):
    """More than one face was found in a photo, so it is not clear whose consent counts."""


class PoorQualityError(EnrollmentError):
    """The face is too small, turned, blurred, dark, bright or uncertain to make a reliable reference."""


class DifferentPeopleError(EnrollmentError):
    """The photos do not all show the same person."""


class TooFewPhotosError(EnrollmentError):
    """Fewer photos than a reliable reference needs."""


class AlreadyEnrolledError(EnrollmentError):
    """The same face is already enrolled under another subject in this zone."""
