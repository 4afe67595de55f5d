"""Backup and restore of the data file, and sealed snapshots of galleries."""

from volens.store.backup.backup_writer import WITH_KEYRING as WITH_KEYRING
from volens.store.backup.backup_writer import Backup as Backup
from volens.store.backup.backup_writer import make_backup as make_backup
from volens.store.backup.gallery_snapshots import GalleryState as GalleryState
from volens.store.backup.gallery_snapshots import has_snapshot as has_snapshot
from volens.store.backup.gallery_snapshots import keep_snapshot as keep_snapshot
from volens.store.backup.gallery_snapshots import open_snapshot as open_snapshot
from volens.store.backup.gallery_snapshots import remove_dead_snapshots as remove_dead_snapshots
from volens.store.backup.restore import BackupFolder as BackupFolder
from volens.store.backup.restore import Levelled as Levelled
from volens.store.backup.restore import copy_from_backup as copy_from_backup
from volens.store.backup.restore import copy_root_key as copy_root_key
from volens.store.backup.restore import copy_with_log as copy_with_log
from volens.store.backup.restore import fresh_folder as fresh_folder
from volens.store.backup.restore import is_in_backup as is_in_backup
from volens.store.backup.restore import level as level
from volens.store.backup.restore import live_by_digest as live_by_digest
from volens.store.backup.restore import look_at as look_at
from volens.store.backup.restore import orphans as orphans
from volens.store.backup.restore import put_home_in_place as put_home_in_place
from volens.store.backup.restore import put_in_place as put_in_place
from volens.store.backup.restore import root_at as root_at
from volens.store.backup.restore import stored_certificates as stored_certificates
from volens.store.backup.restore import unopenable as unopenable
