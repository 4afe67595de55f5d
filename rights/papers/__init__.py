"""Papers about a zone, for authorities and people: made from the processing record, signed, and dated."""

from volens.rights.papers.breach_facts import BreachFacts as BreachFacts
from volens.rights.papers.operations import Operation as Operation
from volens.rights.papers.paper import Gap as Gap
from volens.rights.papers.paper import Paper as Paper
from volens.rights.papers.paper import PaperKind as PaperKind
from volens.rights.papers.paper_making import ZONE_PAPERS as ZONE_PAPERS
from volens.rights.papers.paper_making import Papers as Papers
from volens.rights.papers.paper_making import WrittenPaper as WrittenPaper
from volens.rights.papers.signed_paper import PAPER as PAPER
from volens.rights.papers.signed_paper import VerifiedPaper as VerifiedPaper
from volens.rights.papers.signed_paper import check_file as check_file
from volens.rights.papers.signed_paper import verify_paper as verify_paper
