"""The open store: engine, transactions, keyring. Sub-rooms hold what belongs to people, programs and the log."""

from volens.store.change_waiter import ChangeWaiter as ChangeWaiter
from volens.store.engine import Place as Place
from volens.store.engine import StoreEngine as StoreEngine
from volens.store.engine_choice import role_sql as role_sql
from volens.store.engine_choice import server_databases as server_databases
from volens.store.key_rotation import KeysStatus as KeysStatus
from volens.store.key_rotation import rotation_due as rotation_due
from volens.store.prepared_query import ReadSnapshot as ReadSnapshot
from volens.store.public_key_file import PUBLIC_KEY_FILE as PUBLIC_KEY_FILE
from volens.store.row_seals import seals_of as seals_of
from volens.store.site_databases import SiteDatabases as SiteDatabases
from volens.store.site_databases import read_databases as read_databases
from volens.store.site_home import join_home as join_home
from volens.store.site_home import make_home as make_home
from volens.store.site_home import open_home as open_home
from volens.store.site_keys import Keys as Keys
from volens.store.site_keys import ask_root_key_holder as ask_root_key_holder
from volens.store.stopped_consents import StoppedConsents as StoppedConsents
from volens.store.store import DATA_FILE as DATA_FILE
from volens.store.store import KEYRING_FILE as KEYRING_FILE
from volens.store.store import Store as Store
from volens.store.system_clock import Clock as Clock
from volens.store.system_clock import utc_now as utc_now
from volens.store.transaction import Transaction as Transaction
