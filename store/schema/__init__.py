"""Schema of both database files: each table, its CHECK constraints and its row rules, declared once.

The tables are grouped by lifetime: promises of the site, evidence that stays, rows about a person that end with the
consent, records about programs, and the audit log. `data_tables` gives access to all tables of the data file.
"""

from volens.store.schema.authenticated import Scope as Scope
from volens.store.schema.authenticated import ScopedTable as ScopedTable
from volens.store.schema.authenticated import scoped_tables as scoped_tables
from volens.store.schema.data_tables import REVISIONS as REVISIONS
from volens.store.schema.data_tables import live_consent as live_consent
from volens.store.schema.data_tables import metadata as metadata
from volens.store.schema.personal_tables import OWNER as OWNER
from volens.store.schema.personal_tables import PERSONAL as PERSONAL
from volens.store.schema.personal_tables import owner as owner
from volens.store.schema.personal_tables import personal_table as personal_table
from volens.store.schema.table_builder import bytes_of as bytes_of
from volens.store.schema.table_builder import integer as integer
from volens.store.schema.table_builder import rule_of as rule_of
