"""The gallery: keyed binary sketches scanned by FAISS, exact comparison of sealed candidates. The matching core."""

from volens.index.change_feed import ChangeFeed as ChangeFeed
from volens.index.claims import Carried as Carried
from volens.index.claims import admit_claim as admit_claim
from volens.index.gallery import Galleries as Galleries
from volens.index.gallery import Gallery as Gallery
from volens.index.match import Decision as Decision
from volens.index.match import Match as Match
from volens.index.matching import identify as identify
from volens.index.matching import identify_many as identify_many
from volens.index.matching import verify_claim as verify_claim
from volens.index.projection import SketchArray as SketchArray
from volens.index.reference_opener import opened as opened
from volens.index.timing import Stages as Stages
from volens.index.timing import untimed as untimed
