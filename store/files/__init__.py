"""Private files, durable copies, file locks, and wiping freed memory."""

from volens.store.files.file_place import FilePlace as FilePlace
from volens.store.files.file_place import ReadAt as ReadAt
from volens.store.files.home_folders import check_home_entry as check_home_entry
from volens.store.files.home_folders import check_home_folders as check_home_folders
from volens.store.files.home_folders import make_home_folder as make_home_folder
from volens.store.files.locked_files import Identity as Identity
from volens.store.files.locked_files import closed as closed
from volens.store.files.locked_files import identity_of as identity_of
from volens.store.files.locked_files import opened as opened
from volens.store.files.locked_files import readable as readable
from volens.store.files.private_files import draft_folder as draft_folder
from volens.store.files.private_files import make_private_folder as make_private_folder
from volens.store.files.private_files import read_private as read_private
from volens.store.files.private_files import write_private as write_private
from volens.store.files.private_files import write_private_files as write_private_files
