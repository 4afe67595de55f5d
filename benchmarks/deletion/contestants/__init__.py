"""One module for each contestant. Modules are imported on demand, because each needs its own packages."""

from importlib import import_module
from typing import Final

from benchmarks.deletion.contestant import Contestant

NAMES: Final = {
    "volens": "volens_site:VolensSite",
    "volens-keyring-copied": "volens_site:VolensKeyringCopied",
    "faiss-sqlite": "faiss_sqlite:FaissSqlite",
    "faiss-sqlite-plain": "faiss_sqlite:FaissSqliteOff",
    "hnswlib": "hnswlib_index:HnswlibIndex",
    "usearch": "usearch_index:UsearchIndex",
    "deepface": "deepface_datastore:DeepfaceDatastore",
    "pgvector": "pgvector_table:PgvectorTable",
    "milvus-lite": "milvus_collection:MilvusCollection",
    "milvus-lite-rebuilt": "milvus_collection:MilvusRebuilt",
}


def contestant(name: str) -> type[Contestant]:
    """Return the class of a contestant.

    Raises:
        ImportError: a package that it needs is not installed.
    """
    module, _, kind = NAMES[name].partition(":")
    found: type[Contestant] = getattr(import_module(f"benchmarks.deletion.contestants.{module}"), kind)
    return found
