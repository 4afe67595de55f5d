"""The SQLite engine: connections, transactions, migrations, and the proof that the rules hold."""

from volens.store.sqlite.prepared_query import Glance as Glance
