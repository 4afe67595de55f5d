"""Moving a site between files and a server: copy, proof, and a switch after which the old place serves nothing."""

from volens.store.moving.opened_copy import Opened as Opened
from volens.store.moving.opened_copy import open_all as open_all
from volens.store.moving.site_move import Copied as Copied
from volens.store.moving.site_move import Moved as Moved
from volens.store.moving.site_move import Proved as Proved
from volens.store.moving.site_move import move_site as move_site
