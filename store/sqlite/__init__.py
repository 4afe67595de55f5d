"""The SQLite engine: connections, transactions, migrations, and the proof that the database enforces the rules."""

from volens.store.sqlite.database import SqliteEngine as SqliteEngine
from volens.store.sqlite.self_check import check_refusals as check_refusals
from volens.store.sqlite.self_check import forbidden_acts as forbidden_acts
from volens.store.sqlite.sqlite_snapshot import SqliteSnapshot as SqliteSnapshot
