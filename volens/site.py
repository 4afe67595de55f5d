"""`Site`: one open installation of Volens, used by the library, the command line and the service."""

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self, Unpack, final

from volens.audit import VerifierKey
from volens.consent import (
    Badge,
    ErasureIncompleteError,
    Notice,
    PersonSecret,
    ReceiptId,
    TakeHome,
    TamperError,
    UnverifiedReceipt,
    Zone,
    parse_purpose,
)
from volens.consent.zone import Promises
from volens.enroll import ConsentChanges, Enrolled, Invitations, TurnedHead
from volens.enroll import enroll as enroll_person
from volens.enroll.offers import Offers
from volens.erase import PendingStops, Progress, SweepReport, carry_out_pending, restore_site, resume_begun, sweep
from volens.erase.order import Cohorts
from volens.erase.proof import Erased, Erasures
from volens.face import Extractor
from volens.face.embedder import SFACE_MODEL, EmbeddingModel
from volens.face.image import Photo
from volens.identify import (
    Recognizer,
)
from volens.index import ChangeFeed, Galleries, Installation, Match
from volens.rights import (
    AccessAnswer,
    PeopleDirectory,
    PublishedLog,
    Rights,
    Withdrawal,
    answer_access,
    answer_unknown,
    consents_of_person,
    withdraw_consent,
)
from volens.rights.papers import Papers
from volens.site_clocks import SiteClocks
from volens.site_consents import ConsentGiving
from volens.site_declarations import SiteDeclarations
from volens.site_doors import DoorDecisions
from volens.site_evidence import SiteEvidence
from volens.site_fleet import Fleet, read_fleet
from volens.site_jurisdictions import SiteJurisdictions
from volens.site_notices import NewNoticeText, SiteNotices
from volens.site_status import SiteStatus, check_rules, site_status
from volens.site_zones import SiteZones
from volens.store import Clock, Keys, SiteDatabases, make_home, open_home, utc_now
from volens.store.backup import Backup, make_backup
from volens.store.keys import Random
from volens.store.keys.root_key import DEFAULT_URL
from volens.store.people import add_external_id, name_of
from volens.store.people.panel_badges import PanelBadges
from volens.store.people.second_factors import Factors
from volens.store.programs import Programs
from volens.store.promises import Defaults, add_zone, notice_of, zone_of
from volens.store.time_correction import correct_time


@final
class Site(ConsentGiving, DoorDecisions):
    """One open site: its store, its galleries, its models. Use as a context manager.

    Attributes:
        installation: the store, the galleries and the home folder.
        programs: credentials, senders, endpoints, jobs and what else belongs to other programs.
        resumed: erasures that were begun earlier, and finished by opening the site.
        unfinished: the error of erasures that could not be finished when the site was opened; None if all were.
        stops: withdrawals, and those that the store could not record yet.
        feed: applies the changes of other processes, for a process that keeps the site open.
        changes: of consents in force: renewal, correction of the name, new photos, new code.
        invitations: of people who have not agreed yet: made, opened, used, refused, cancelled.
        offers: how many people were asked and said no, and how the alternative of a zone fares.
        cohorts: erasures by order, their dossiers, orders to stop collecting, and the operators who may approve.
        keys: the site's keys: their state and their rotation.
        zones: titles of zones, pausing and removing them.
        notices: drafts of notices, and their check against the zone.
        clocks: people who leave, consents that are due, the alarm, the retention policy.
        jurisdictions: what the law of a place wants of a consent: the profiles that ship, and the site's own.
        erasures: past erasures: whose they are, and the repeated search that shows that they held.
        rights: data subject requests with their deadlines, and the recipients of personal data.
        people: who is enrolled, found by name or shown by id; every look at names is recorded.
        factors: the second factors of people in zones that require one: set, replaced, removed.
        panel_badges: the numbers that the panel of the house knows people by, sealed with their consents.
        defaults: the zone, jurisdiction and time zone that commands use if none is given.
        declarations: facts that only people know, about the controller and each zone, for notices and papers.
        papers: signed papers about a zone, such as the record of processing; which of them are stale.
        log: the audit log.
        evidence: holds data file and keyring against checkpoints that were kept elsewhere.
        keyring_repair: what opening the site repaired, because the keyring was an older copy; None if it was not.
    """

    def __init__(self, installation: Installation, load_extractor: Callable[[], Extractor]) -> None:
        """Use `Site.open` or `Site.create`."""
        store = installation.store
        self.installation = installation
        self.programs = Programs(store)
        self.resumed: list[Erased] = []
        self.unfinished: ErasureIncompleteError | None = None
        self.feed = ChangeFeed(installation)
        self.changes = ConsentChanges(installation, lambda: self.extractor)
        self.invitations = Invitations(installation)
        self.offers = Offers(installation)
        self.stops = PendingStops(installation)
        self.cohorts = Cohorts(installation)
        self.keys = Keys(store, installation.galleries.reissue)
        self.clocks = SiteClocks(installation)
        self.zones = SiteZones(installation)
        self.jurisdictions = SiteJurisdictions(installation)
        self.notices = SiteNotices(store)
        self.erasures = Erasures(installation)
        self.rights = Rights(installation)
        self.people = PeopleDirectory(store)
        self.factors = Factors(store)
        self.panel_badges = PanelBadges(store)
        self.defaults = Defaults(store)
        self.declarations = SiteDeclarations(store)
        self.papers = Papers(installation)
        self.log = PublishedLog(store)
        self.evidence = SiteEvidence(installation)
        self.keyring_repair = store.keyring_repair
        self._store = store
        self._load_extractor = load_extractor
        self._extractor: Extractor | None = None
        self._recognizer = Recognizer(self.installation, lambda: self.extractor)

    @classmethod
    def create(
        cls,
        home: Path | str,
        *,
        name: str,
        contact: str,
        clock: Clock = utc_now,
        random: Random = os.urandom,
        root_key: str = DEFAULT_URL,
        databases: SiteDatabases | None = None,
    ) -> Self:
        """Make a new site in a folder that is empty or does not exist, and open it; see `volens.store.make_home`."""
        home = Path(home)
        make_home(
            home, name=name, contact=contact, clock=clock, random=random, root_key_url=root_key, databases=databases
        )
        return cls.open(home, clock=clock, random=random)

    @classmethod
    def open(
        cls,
        home: Path | str,
        *,
        load_extractor: Callable[[], Extractor] = Extractor.load_default,
        clock: Clock = utc_now,
        random: Random = os.urandom,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Open a site: unlock the keyring, check that the database enforces its rules, finish begun erasures.

        Revocations that were received and not carried out are carried out before the first match.

        The models are loaded before the first image is analysed. The clock returns aware time. `progress` is called
        while begun erasures are finished, with the number of people done and the total.

        Raises:
            TypeError: `home` is neither a path nor text.
            UnavailableError: there is no site, a file is locked, read-only or of a newer version, or the clock is
                behind the audit log.
            TamperError: the files do not belong together, were changed, or are older than the keyring remembers.
        """
        home = Path(home)
        store = open_home(home, clock=clock, random=random)
        try:
            site = cls(Installation(store, Galleries(store), home), load_extractor)
            # Matching has stopped in any case, so doors may continue; `unfinished` reports the error.
            site.resumed, site.unfinished = resume_begun(site.installation, progress)
            try:
                carry_out_pending(site.installation)
            except ErasureIncompleteError as error:
                site.unfinished = site.unfinished or error
            except TamperError:
                pass  # the sweep reports it; a planted message must not keep the site closed
        except BaseException:
            store.close()
            raise
        return site

    correct_time = staticmethod(correct_time)

    def close(self) -> None:
        """Close the files and zero the keys."""
        self.installation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def home(self) -> Path:
        """The folder that holds all files of the site."""
        return self.installation.home

    def now(self) -> datetime:
        """Return the time of the site's clock: UTC, whole seconds."""
        return self._store.now()

    def check_rules(self) -> None:
        """Check both databases more closely than at every opening; see `volens.site_status.check_rules`."""
        check_rules(self._store)

    @property
    def extractor(self) -> Extractor:
        """The models, loaded at first use."""
        if self._extractor is None:
            self._extractor = self._load_extractor()
        return self._extractor

    @property
    def model(self) -> EmbeddingModel:
        """The embedding model in use: that of the loaded models, or the default one before they are loaded."""
        return SFACE_MODEL if self._extractor is None else self._extractor.model

    @property
    def verifier_key(self) -> VerifierKey:
        """The site's public key, as in ``site.pub``, with which others check certificates and the log."""
        return self._store.verifier_key

    def add_zone(self, name: str, **promises: Unpack[Promises]) -> Zone:
        """Add a zone; see `volens.consent.Zone.declare` for the promises and the errors.

        Raises:
            RefusedError: the law of the site's default jurisdiction forbids the custody.
        """
        zone = Zone.declare(name, now=self.now(), **promises)
        law = self.defaults.get().jurisdiction
        profile = None if law is None else self.jurisdictions.catalogue().find(law)
        if profile is not None:
            profile.check_custody(zone.custody, name)
        with self._store.write() as tx:
            add_zone(tx, zone)
        return zone

    def publish_notice(self, zone: str, **given: Unpack[NewNoticeText]) -> Notice:
        """Publish the next version of a zone's notice; see `volens.site_notices.SiteNotices.publish`."""
        return self.notices.publish(zone, **given)

    def notice(self, zone: str, language: str | None = None) -> Notice:
        """Return the newest notice of a zone, which the person reads before signing."""
        purpose = parse_purpose(zone)
        with self._store.read() as connection:
            zone_of(connection, purpose)
            return notice_of(connection, purpose, language)

    def enroll(
        self,
        receipt: bytes,
        photos: Sequence[Photo],
        *,
        allow_few: bool = False,
        two_people: bool = False,
        progress: Callable[[int, int], None] | None = None,
        secret: PersonSecret | None = None,
        hand_over: Callable[[Badge], None] | None = None,
        turned: TurnedHead | None = None,
    ) -> Enrolled:
        """Enroll the person who signed `receipt` (a take-home file or a bare JWS); see `volens.enroll.enroll`.

        If the person holds the key, pass their `secret` (custody ``subject_key``), or `hand_over`, which takes their
        badge (custody ``badge``). With `turned`, the photos must show the person who turned the head.

        Raises:
            RefusedError: no consent in force; no embedding was computed.
            EnrollmentError: the photos are not good enough; nothing was stored.
            ReceiptError, TamperError: the receipt is malformed, or not the one recorded.
        """
        return enroll_person(
            self.installation,
            lambda: self.extractor,
            TakeHome.parse(receipt).receipt,
            photos,
            allow_few=allow_few,
            two_people=two_people,
            progress=progress,
            secret=secret,
            hand_over=hand_over,
            turned=turned,
        )

    def name_of(self, match: Match) -> str | None:
        """Return the name of a person who matched, to show to the operator; None if the consent ended meanwhile."""
        return name_of(self._store, match.receipt_id)

    def withdraw(
        self, *, receipt: bytes | None = None, code: str | None = None, all_of_this_person: bool = False
    ) -> Withdrawal:
        """Withdraw a consent and erase its data. No reason is required; a repeated call returns the same certificate.

        Give one of the two: a receipt (take-home file or bare JWS, also an expired one), or the code (or its QR text).
        The result also has the other consents of the same key that are in force; `all_of_this_person` ends them too.

        Raises:
            NoLiveConsentError: no such consent was ever given here.
            ReceiptError, TamperError: the receipt is malformed, or was changed; the code works nevertheless.
            UnavailableError: the store cannot be written. This process no longer matches it; see `PendingStops`.
            ErasureIncompleteError: matching has stopped, but the erasure is not finished; `sweep` continues it.
        """
        receipt_id = self.rights.consent_shown(receipt=receipt, code=code)
        return withdraw_consent(self.installation, self.stops, receipt_id, all_of_this_person=all_of_this_person)

    def link_external_id(self, receipt_id: ReceiptId, external_id: str) -> None:
        """Link a consent in force to an id of another system, such as a personnel number; see `add_external_id`."""
        with self._store.write() as tx:
            add_external_id(tx, self._store.keyring, receipt_id, external_id)

    def sweep(self, progress: Callable[[int, int], None] | None = None) -> SweepReport:
        """Erase expired consents and finish begun erasures; see `volens.erase.sweep`."""
        report = sweep(self.installation, progress or (lambda _done, _total: None))
        self.unfinished = None
        return report

    def backup(self, folder: Path, *, with_keyring: bool = False, progress: Progress | None = None) -> Backup:
        """Write a backup while the site is in use; see `volens.store.backup.make_backup`."""
        return make_backup(self._store, self.home, folder, with_keyring=with_keyring, progress=progress)

    restore = staticmethod(restore_site)

    def receipts_of(self, who: str | UnverifiedReceipt) -> list[ReceiptId]:
        """Return the consents of one person, in force or ended; see `volens.rights.consents_of_person`."""
        return consents_of_person(self._store, who)

    def answer_access(
        self, receipt_ids: Sequence[ReceiptId], *, with_embedding: bool = True, searched_for: str | None = None
    ) -> AccessAnswer:
        """Answer an access request; see `volens.rights.answer_access`."""
        return answer_access(self._store, receipt_ids, with_embedding=with_embedding, searched_for=searched_for)

    def answer_unknown(self, searched_for: str) -> AccessAnswer:
        """Answer that nothing is held about a person who is not found; see `volens.rights.answer_unknown`."""
        return answer_unknown(self._store, searched_for)

    def status(self) -> SiteStatus:
        """Return the current numbers of the site."""
        return site_status(self._store)

    def fleet(self) -> Fleet:
        """Return the nodes and doors of the site, and what is wrong with them."""
        return read_fleet(self._store)
