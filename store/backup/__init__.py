"""Backup and restore of the data file, and sealed snapshots of galleries."""

from volens.store.backup.backup_writer import WITH_KEYRING as WITH_KEYRING
from volens.store.backup.backup_writer import Backup as Backup
from volens.store.backup.backup_writer import make_backup as make_backup
from volens.store.backup.gallery_snapshots import GalleryState as GalleryState
from volens.store.backup.gallery_snapshots import has_snapshot as has_snapshot
from volens.store.backup.gallery_snapshots import keep_snapshot as keep_snapshot
from volens.store.backup.gallery_snapshots import open_snapshot as open_snapshot
from volens.store.backup.gallery_snapshots import remove_dead_snapshots as remove_dead_snapshots
from volens.store.backup.manifest import MANIFEST as MANIFEST
from volens.store.backup.manifest import read_manifest as read_manifest
from volens.store.backup.manifest import verify_manifest as verify_manifest
from volens.store.backup.restore import root_at as root_at
from volens.store.engine_choice import copy_closed as copy_closed
from volens.store.engine_choice import put_in_place as put_in_place
