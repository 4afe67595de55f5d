"""The PostgreSQL engine: several processes on several machines use one site through a server that is the user's own."""

from volens.store.postgres.database_roles import app_role as app_role
from volens.store.postgres.database_roles import door_role as door_role
from volens.store.postgres.database_url import DatabaseUrl as DatabaseUrl
from volens.store.postgres.left_schema import left_in_schema as left_in_schema
from volens.store.postgres.left_schema import remove_schema as remove_schema
from volens.store.postgres.postgres_engine import PostgresEngine as PostgresEngine
from volens.store.postgres.postgres_self_check import check_refusals as check_refusals
from volens.store.postgres.shared_document import SharedDocument as SharedDocument
