"""Liveness packs: an ONNX model for presentation attack detection that a site has, such as a MiniFASNet.

Volens ships none: none was found whose licence and training photos cover a door (docs/adr/0070). A pack is a folder
with the model's file and ``liveness.json``, which the site writes. All members are required:

| member | what it is |
|---|---|
| `name` | a name, for the status |
| `model` | the name of the ONNX file in the folder |
| `sha256` | of that file; only these bytes are loaded |
| `licence` | its name, which the site accepts word for word |
| `url` | where its publisher has it, https |
| `side_px` | the model's input is float32 (1, 3, side, side) |
| `scale` | how many times the face's box the crop is wide and high |
| `channels` | ``rgb`` or ``bgr`` |
| `divide_by` | 1 for pixels of 0 to 255, 255 for 0 to 1 |
| `output` | ``logits`` or ``probabilities``, one number for each class |
| `live_class` | the number of the class of live faces, from 0 |
| `min_score` | the probability of that class from which a face counts as live |
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from volens.consent import InputError, UnavailableError
from volens.consent.json_reader import JsonError, read_json
from volens.consent.zone import LivenessLevel
from volens.face.detector import DetectedFace
from volens.face.downloads import Download, Downloader, Source, replace_file
from volens.face.face_errors import ModelHashError, ModelLicenceError, ModelMissingError
from volens.face.image import RgbImage
from volens.face.inference import session
from volens.face.liveness import LivenessEvidence, Look, NotLive

MANIFEST: Final = "liveness.json"
_MAX_MANIFEST_BYTES: Final = 64 * 2**10
_Text = Annotated[str, Field(min_length=1, max_length=200)]


@final
class LivenessManifest(BaseModel):
    """What ``liveness.json`` says of a model; see the module."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: _Text
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: _Text
    url: Annotated[str, Field(pattern=r"^https://", max_length=2000)]
    side_px: Annotated[int, Field(ge=16, le=1024)]
    scale: Annotated[float, Field(ge=1, le=8)]
    channels: Literal["rgb", "bgr"]
    divide_by: Annotated[float, Field(ge=1, le=255)]
    output: Literal["logits", "probabilities"]
    live_class: Annotated[int, Field(ge=0, le=99)]
    min_score: Annotated[float, Field(gt=0, le=1)]


def read_manifest(folder: Path) -> LivenessManifest:
    """Read ``liveness.json`` of a pack.

    Raises:
        InputError: there is none, or a member is missing, unknown or not valid.
    """
    path = folder / MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_MANIFEST_BYTES + 1)
        if len(data) > _MAX_MANIFEST_BYTES:
            raise InputError(f"got a {MANIFEST} above 64 KiB in {folder}; expected what docs/liveness.md shows")
        return LivenessManifest.model_validate(read_json(data))
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({type(error).__name__}); expected the folder of a liveness pack; docs/liveness.md "
            "shows how to write one"
        ) from None
    except JsonError as error:
        raise InputError(f"{path} cannot be read: {error}; docs/liveness.md shows how to write it") from None
    except ValidationError as error:
        first = error.errors()[0]
        member = ".".join(str(one) for one in first["loc"])[:80] or "the document"
        raise InputError(
            f"{path}: member {member!r} is not valid ({first['msg'][:160]}); docs/liveness.md has the list of members"
        ) from None


def check_licence(manifest: LivenessManifest, accepted: str | None) -> None:
    """Compare the name of the licence with the name that the site accepted, exactly.

    Raises:
        ModelLicenceError: it is another one, or none was accepted.
    """
    if accepted != manifest.licence:
        raise ModelLicenceError(
            f"the liveness model {manifest.name} is licensed '{manifest.licence}'; expected the site to accept exactly "
            f'that; read the licence, and if your use is covered pass --liveness-licence "{manifest.licence}"'
        )


def pull_liveness_pack(
    folder: Path, accepted: str | None, source: Source = "publisher", downloader: Downloader | None = None
) -> bool:
    """Download the model of a pack into its folder, from its publisher or a path; return False if it is there.

    Raises:
        InputError: the manifest is not valid, or the source is the registry, which has no such model.
        ModelLicenceError: the licence was not accepted; nothing is downloaded.
        DownloadHashError: the bytes are not those of the manifest; nothing of them is kept.
        DownloadError: the source cannot be reached.
        UnavailableError: the folder cannot be written.
    """
    manifest = read_manifest(folder)
    check_licence(manifest, accepted)
    if source == "registry":
        raise InputError("the package registry has no liveness models; pass --from publisher, or the path of the file")
    path = folder / manifest.model
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == manifest.sha256:
        return False
    wanted = Download(manifest.model, manifest.sha256, wheel="", member="", url=manifest.url)
    data = (downloader or Downloader()).fetch([wanted], source)[manifest.model]
    try:
        replace_file(path, data)
    except OSError as error:
        raise UnavailableError(f"cannot write {path} ({type(error).__name__}); make the folder writable") from None
    return True


def load_liveness_pack(folder: Path, *, accept_licence: str | None) -> "PackLiveness":
    """Load the model of a pack.

    1. Read the manifest, and compare the licence with the name that the site accepted.
    2. Compare the SHA-256 of the file, and load exactly those bytes.
    3. Compare the shape of input and output, and run the model once on grey.

    Raises:
        InputError: 1, the manifest.
        ModelLicenceError: 1, the licence.
        ModelMissingError: 2, the file is missing; 3, the runtime cannot load it, or its shape is another one.
        ModelHashError: 2.

    Not checked: whether the licence allows the site's use, and how often the model errs: `volens pad measure`.
    """
    # 1.
    manifest = read_manifest(folder)
    check_licence(manifest, accept_licence)
    # 2.
    try:
        data = (folder / manifest.model).read_bytes()
    except OSError:
        raise ModelMissingError(
            f"the liveness model {manifest.model} is not in {folder}; run 'volens models pull-liveness {folder}'"
        ) from None
    if (digest := hashlib.sha256(data).hexdigest()) != manifest.sha256:
        raise ModelHashError(
            f"integrity: got {manifest.model} with sha256 {digest}; expected {manifest.sha256}; find out who changed "
            f"it, then run 'volens models pull-liveness {folder}'"
        )
    # 3.
    try:
        loaded = session(data, 1)
    except ModelMissingError:
        raise ModelMissingError(
            f"ONNX Runtime cannot load {manifest.model}; expected an ONNX model for the CPU; get it again"
        ) from None
    return PackLiveness(manifest, loaded)


@final
class PackLiveness:
    """The model of a pack as a `volens.face.liveness.Liveness`. One instance may serve several threads."""

    level = LivenessLevel.PACK

    def __init__(self, manifest: LivenessManifest, loaded: Any) -> None:  # noqa: ANN401  onnxruntime ships no types
        """Check the shape of a loaded model; use `load_liveness_pack`."""
        self.manifest = manifest
        self._session = loaded
        side = manifest.side_px
        inputs, outputs = loaded.get_inputs(), loaded.get_outputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        is_image = len(shape) == 4 and all(  # noqa: PLR2004  batch, channels, height, width
            not isinstance(got, int) or got == expected for got, expected in zip(shape, (1, 3, side, side), strict=True)
        )
        if not (is_image and len(outputs) == 1):
            raise _wrong_shape(manifest, f"{len(inputs)} inputs (the first {shape}) and {len(outputs)} outputs")
        self._input = inputs[0].name
        try:
            scores = self._run(np.full((1, 3, side, side), 0.5, np.float32))
        except Exception as error:  # the runtime's exceptions share no public base class
            raise _wrong_shape(manifest, f"a model that does not run ({type(error).__name__})") from error
        if scores.ndim != 2 or scores.shape[0] != 1 or scores.shape[1] <= max(1, manifest.live_class):  # noqa: PLR2004
            raise _wrong_shape(manifest, f"an output of shape {list(scores.shape)}")

    @property
    def detector_id(self) -> str:
        """The SHA-256 of the manifest, which has that of the model: 64 hexadecimal digits."""
        return hashlib.sha256(self.manifest.model_dump_json().encode("utf-8")).hexdigest()

    def examine(self, looks: Sequence[Look]) -> LivenessEvidence:
        """Decide by the mean of the looks' scores; see `volens.face.liveness.Liveness.examine`."""
        is_live = bool(looks) and float(np.mean([self.score(one) for one in looks])) >= self.manifest.min_score
        return LivenessEvidence(LivenessLevel.PACK, None if is_live else NotLive.LOW_SCORE)

    def score(self, look: Look) -> float:
        """Return the probability that a face is live, as the model sees it; 0 if its output is no number."""
        blob = self._blob(look.image, look.face)
        try:
            values = np.asarray(self._run(blob)[0], np.float64)
        finally:
            blob.fill(0)
        if self.manifest.output == "logits":
            values = np.exp(values - values.max())
            values /= values.sum()
        return float(np.nan_to_num(values[self.manifest.live_class], nan=0.0))

    def _run(self, blob: NDArray[np.float32]) -> NDArray[np.floating]:
        (output,) = self._session.run(None, {self._input: blob})
        return np.asarray(output)

    def _blob(self, image: RgbImage, face: DetectedFace) -> NDArray[np.float32]:
        import cv2  # noqa: PLC0415  withdrawal must work on a machine where OpenCV does not load

        left, top, right, bottom = crop_box(face.box, image.width, image.height, self.manifest.scale)
        side = self.manifest.side_px
        crop = cv2.resize(image.pixels[top:bottom, left:right], (side, side), interpolation=cv2.INTER_LINEAR)
        if self.manifest.channels == "bgr":
            crop = crop[:, :, ::-1]
        blob = np.ascontiguousarray(crop.transpose(2, 0, 1)[None], dtype=np.float32)
        blob /= np.float32(self.manifest.divide_by)
        return blob


def crop_box(
    box: tuple[float, float, float, float], width: int, height: int, scale: float
) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a crop `scale` times the box of a face: smaller or moved where the image ends.

    As the MiniFASNet models were trained (Silent-Face-Anti-Spoofing, generate_patches.py).
    """
    x, y, w, h = box
    scale = min(scale, width / w, height / h)
    left = min(max(0.0, x + w / 2 - scale * w / 2), width - scale * w)
    top = min(max(0.0, y + h / 2 - scale * h / 2), height - scale * h)
    right, bottom = round(left + scale * w), round(top + scale * h)
    return max(0, min(round(left), right - 1)), max(0, min(round(top), bottom - 1)), right, bottom


def _wrong_shape(manifest: LivenessManifest, got: str) -> ModelMissingError:
    side = manifest.side_px
    return ModelMissingError(
        f"the liveness model {manifest.model} has {got}; expected one input (1, 3, {side}, {side}) and one output with "
        f"a number for each class, of which {manifest.live_class} is live; correct {MANIFEST}"
    )
