from collections.abc import Iterator

import pytest
from house import House, no_models
from postgres_server import PostgresServer
from sqlalchemy import make_url

from benchmarks.latency.delaying_proxy import DelayingProxy
from volens import Site
from volens.store import read_databases, server_databases
from volens.store.site_databases import write_databases


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[DelayingProxy]:
    host = server.url.query.get("host", server.url.host or "127.0.0.1")
    with DelayingProxy(str(host), server.url.port or 5432) as running:
        yield running


@pytest.fixture
def is_keyring_apart() -> bool:
    """Whether the node reaches the keyring over connections of its own, as if it were in another database."""
    return False


@pytest.fixture
def node(house: House, proxy: DelayingProxy, is_keyring_apart: bool) -> Iterator[House]:  # noqa: FBT001  a fixture
    """The same site, opened by another node, which reaches the server through the proxy."""
    databases = read_databases(house.site.home)
    assert databases is not None
    host, port = proxy.address
    urls = [make_url(one).difference_update_query(["host"]) for one in (databases.data, databases.keyring)]
    data, keyring = (one.set(host=host, port=port) for one in urls)
    if is_keyring_apart:
        keyring = keyring.update_query_dict({"application_name": "volens_keyring"})
    far = [one.render_as_string(hide_password=False) for one in (data, keyring)]
    house.site.close()
    write_databases(house.site.home, server_databases(*far))
    site = Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes)
    write_databases(house.site.home, databases)
    house.reopen()
    with site:
        yield House.of(site)
