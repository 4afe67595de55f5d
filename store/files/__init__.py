"""Private files, durable copies, and what the operating system keeps of a file or of memory."""

from volens.store.files.live_files import readable as readable
from volens.store.files.private_files import read_private as read_private
from volens.store.files.private_files import write_private as write_private
from volens.store.files.private_files import write_private_files as write_private_files
