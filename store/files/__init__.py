"""Private, public and secret files, text files, durable copies, file locks, and wiping freed memory."""

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
from volens.store.files.private_files import PUBLIC as PUBLIC
from volens.store.files.private_files import draft_folder as draft_folder
from volens.store.files.private_files import erase_file as erase_file
from volens.store.files.private_files import make_private_folder as make_private_folder
from volens.store.files.private_files import make_public_folder as make_public_folder
from volens.store.files.private_files import overwrite_file as overwrite_file
from volens.store.files.private_files import read_private as read_private
from volens.store.files.private_files import write_private as write_private
from volens.store.files.private_files import write_public as write_public
from volens.store.files.private_files import write_public_files as write_public_files
from volens.store.files.secret_files import read_secret as read_secret
from volens.store.files.secret_files import secret_problem as secret_problem
from volens.store.files.shell_command import shell_command as shell_command
from volens.store.files.text_files import read_small_file as read_small_file
from volens.store.files.text_files import read_text_file as read_text_file
