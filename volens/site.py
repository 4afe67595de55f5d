"""`Site`: one installation of Volens, opened. What the library, the command line and the service work with."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, Unpack, final

from volens.audit import VerifierKey
from volens.consent import (
    Badge,
    EndReason,
    ErasureIncompleteError,
    Notice,
    PersonSecret,
    ReceiptId,
    ShownFactor,
    SubjectKey,
    TakeHome,
    UnverifiedReceipt,
    Zone,
    parse_purpose,
)
from volens.consent.zone import Promises
from volens.enroll import Enrolled, end_replaced_consent, give_consent
from volens.enroll import enroll as enroll_person
from volens.erase import Progress, SweepReport, erase_consent, restore_site, resume_begun, sweep
from volens.erase.order import Cohorts
from volens.erase.proof import Erased, Erasures
from volens.erase.revocations import Revocations
from volens.face import Extractor, RgbImage
from volens.identify import DoorStream, FaceDecision, Identification, identify_frame, verify_frame
from volens.index import Carried, ChangeFeed, Galleries, Match, Stages, untimed
from volens.rights import AccessAnswer, PublishedLog, Rights, answer_access, consent_shown, consents_meant
from volens.site_clocks import SiteClocks
from volens.site_status import SiteStatus, site_status
from volens.store import Clock, Keys, Store, Transaction, make_home, open_home, utc_now
from volens.store.backup import Backup, make_backup
from volens.store.keys import Random
from volens.store.keys.root_key import DEFAULT_URL
from volens.store.people import name_of, shorten
from volens.store.people.second_factors import Factors
from volens.store.programs import DecisionLog, IdempotencyStore
from volens.store.programs.credentials import Credentials
from volens.store.programs.jobs import Jobs
from volens.store.promises import add_notice, add_zone, notice_of, zone_of


@final
class Site:
    """One installation: its store, its galleries, its models. Use as a context manager.

    Attributes:
        home: the folder that holds all of it.
        resumed: the erasures that were begun before the site was opened, and finished by opening it.
        unfinished: why erasures that were begun could not be finished when the site was opened; None if all are.
        feed: applies what other processes change, for whoever keeps a site open for long.
        cohorts: erasures of many by order, their dossiers, orders to stop collecting, and who may approve.
        keys: the site's keys: their state and their rotation.
        clocks: what the site does about time: leavers, what comes due, the alarm, the retention policy.
        erasures: past erasures: whose they are, and the search that shows that they held.
        rights: what people asked for, with the clock of each request; and who receives what.
        credentials: the programs that may ask over the network.
        decisions: what a service writes into the log about whom it let in.
        kept_answers: answers to what those may ask for a second time.
        jobs: what they asked for that takes long.
        factors: what people of two-factor zones show besides their face: set, replaced, removed.
        revocations: what others may tell of: who left, who took a yes back; and who they are.
        log: the audit log.
    """

    def __init__(self, home: Path, store: Store, load_extractor: Callable[[], Extractor]) -> None:
        """Use `Site.open` or `Site.create`."""
        self.home = home
        self.resumed: list[Erased] = []
        self.unfinished: ErasureIncompleteError | None = None
        self._store = store
        self._galleries = Galleries(store)
        self.feed = ChangeFeed(store, self._galleries)
        self._load_extractor = load_extractor
        self._extractor: Extractor | None = None
        self.cohorts = Cohorts(store, self._galleries, home)
        self.keys = Keys(store, home, self._galleries.reissue)
        self.clocks = SiteClocks(store, self._galleries, home)
        self.erasures = Erasures(store, self._galleries, home)
        self.rights = Rights(store, home, self._galleries)
        self.credentials = Credentials(store)
        self.decisions = DecisionLog(store)
        self.idempotency_store = IdempotencyStore(store)
        self.jobs = Jobs(store)
        self.factors = Factors(store)
        self.revocations = Revocations(store, self._galleries, home)
        self.log = PublishedLog(store)

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        name: str,
        contact: str,
        clock: Clock = utc_now,
        random: Random = os.urandom,
        root_key: str = DEFAULT_URL,
    ) -> Self:
        """Make a new site in a folder that is empty or not there yet, and open it; see `volens.store.make_home`."""
        make_home(home, name=name, contact=contact, clock=clock, random=random, root_key_url=root_key)
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
        """Open a site: unlock the keyring, prove that the database holds its rules, finish begun erasures.

        Args:
            home: the folder of the site.
            load_extractor: gives the models; called when a face is first looked at.
            clock: a function that returns aware time.
            random: a function that returns n random bytes.
            progress: called while begun erasures are finished, with how much is done, of how much.

        Raises:
            UnavailableError: there is no site, or a file is locked, unwritable or of a newer version.
            TamperError: the files do not belong together, were changed, or are older than the keyring remembers.
        """
        store = open_home(Path(home), clock=clock, random=random)
        site = cls(Path(home), store, load_extractor)
        try:
            # Matching has stopped in any case, so the door may go on; whoever looks at the site is told.
            site.resumed, site.unfinished = resume_begun(store, site._galleries, site.home, progress)
        except BaseException:
            store.close()
            raise
        return site

    def close(self) -> None:
        """Give back the files and zero the keys."""
        self._galleries.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def extractor(self) -> Extractor:
        """The models, loaded when first asked for."""
        if self._extractor is None:
            self._extractor = self._load_extractor()
        return self._extractor

    @property
    def verifier_key(self) -> VerifierKey:
        """The site's public key, as in ``site.pub``: what others need to check certificates and the log."""
        return self._store.verifier_key

    def add_zone(self, name: str, **promises: Unpack[Promises]) -> Zone:
        """Declare a zone; see `consent.Zone.declare` for the promises, and for what is refused."""
        zone = Zone.declare(name, now=self._store.now(), **promises)
        with self._store.write() as tx:
            add_zone(tx, zone)
        return zone

    def publish_notice(
        self, zone: str, *, language: str, text: bytes, supersedes_within_days: int | None = None
    ) -> Notice:
        """Publish the next version of a zone's notice: UTF-8, at most 256 KiB.

        With `supersedes_within_days` whoever agreed to an older one has so many days to agree to this one.
        """
        with self._store.write() as tx:
            notice = add_notice(tx, parse_purpose(zone), language, text, supersedes_within_days)
            shorten(tx, purpose=notice.purpose)
            return notice

    def notice(self, zone: str, language: str | None = None) -> Notice:
        """Return the newest notice of a zone, to be shown to a person before they sign."""
        purpose = parse_purpose(zone)
        with self._store.read() as connection:
            zone_of(connection, purpose)
            return notice_of(connection, purpose, language)

    def give_consent(
        self,
        notice: Notice,
        *,
        name: str,
        jurisdiction: str,
        key: SubjectKey,
        valid_days: int | None = None,
        external_id: str | None = None,
        in_transaction: Callable[[Transaction, TakeHome], None] | None = None,
    ) -> TakeHome:
        """Record the consent of a person who was shown `notice` and said yes; see `volens.enroll.give_consent`."""
        return give_consent(
            self._store,
            notice,
            name=name,
            jurisdiction=jurisdiction,
            key=key,
            valid_days=valid_days,
            external_id=external_id,
            end_replaced_consent=lambda receipt: end_replaced_consent(self._store, self._galleries, self.home, receipt),
            in_transaction=in_transaction,
        )

    def enroll(
        self,
        receipt: bytes,
        photos: Sequence[RgbImage],
        *,
        allow_few: bool = False,
        progress: Callable[[int, int], None] | None = None,
        secret: PersonSecret | None = None,
        hand_over: Callable[[Badge], None] | None = None,
    ) -> Enrolled:
        """Enroll the person who signed `receipt` (a take-home file or a bare JWS); see `volens.enroll.enroll`.

        Where the person holds the key: `secret` is theirs (custody ``subject_key``), `hand_over` gives them the badge.

        Raises:
            RefusedError: no consent in force; no embedding was computed.
            EnrollmentError: the photos will not do; nothing was stored.
            ReceiptError, TamperError: the receipt is malformed, or not the one recorded.
        """
        return enroll_person(
            self._store,
            self._galleries,
            lambda: self.extractor,
            TakeHome.parse(receipt).receipt,
            photos,
            allow_few=allow_few,
            progress=progress,
            secret=secret,
            hand_over=hand_over,
        )

    def identify(
        self, zone: str, image: RgbImage, factor: ShownFactor | None = None, stages: Stages = untimed
    ) -> Identification:
        """Find every face of a frame, and say for each whether it is somebody with a consent in force for this zone.

        Where the zone asks for a second factor, nobody matches without their own; the caller wipes it.

        Raises:
            InputError: there is no such zone, or it asks for another factor.
            RefusedError: in this zone the person holds the key, and nobody is searched for.
            TamperError: a candidate's seal or receipt does not hold.

        Not checked: whether the faces are live. Probes are wiped; a face that matches nobody leaves no trace.
        """
        purpose = parse_purpose(zone)
        return identify_frame(self._store, self._galleries, self.extractor, purpose, image, factor, stages)

    def watch(self, zone: str) -> DoorStream:
        """Decide about the frames of a door's camera, much faster than `identify` frame by frame; see `DoorStream`."""
        return DoorStream(self._store, self._galleries, self.extractor, parse_purpose(zone))

    def verify_claim(
        self,
        receipt: bytes | None,
        image: RgbImage,
        *,
        carried: Carried = None,
        zone: str | None = None,
        factor: ShownFactor | None = None,
    ) -> FaceDecision | None:
        """Say whether the largest face of a frame is the person who signed `receipt` (1:1). None: there is no face.

        `carried` is what the person shows besides: their secret, or their badge, which needs no receipt; with `zone`,
        what was given out for another is refused. `factor` as in `identify`; a receipt is none.

        Raises:
            RefusedError: no consent in force, or nobody is enrolled under it.
            ReceiptError, TamperError: the receipt is malformed, or not the one recorded.
        """
        shown = None if receipt is None else TakeHome.parse(receipt).receipt
        purpose = None if zone is None else parse_purpose(zone)
        return verify_frame(self._store, lambda: self.extractor, shown, image, carried, purpose, factor)

    def name_of(self, match: Match) -> str | None:
        """Return the name of a person who matched, for the operator's eyes; None if the consent ended meanwhile."""
        return name_of(self._store, match.receipt_id)

    def withdraw(self, *, receipt: bytes | None = None, code: str | None = None) -> Erased:
        """End a consent and erase what it allowed. No reason is asked; doing it twice gives the same certificate.

        Give one of the two: a receipt (take-home file or bare JWS, an expired one too), or the code or its QR's text.

        Raises:
            NoLiveConsentError: there never was such a consent here.
            ReceiptError, TamperError: the receipt is malformed, or was changed; the code works nevertheless.
            ErasureIncompleteError: matching has stopped, but the erasure is not finished; `sweep` goes on.
        """
        with self._store.read() as connection:
            receipt_id = consent_shown(connection, receipt, code)
        return erase_consent(self._store, self._galleries, self.home, receipt_id, EndReason.WITHDRAWN)

    def sweep(self, progress: Callable[[int, int], None] | None = None) -> SweepReport:
        """Erase what has expired and finish what was begun; see `volens.erase.sweep`."""
        report = sweep(self._store, self._galleries, self.home, progress or (lambda _done, _total: None))
        self.unfinished = None
        return report

    def backup(self, folder: Path, *, with_keyring: bool = False, progress: Progress | None = None) -> Backup:
        """Write a backup while the site is in use; see `volens.store.backup.make_backup`."""
        return make_backup(self._store, self.home, folder, with_keyring=with_keyring, progress=progress)

    restore = staticmethod(restore_site)

    def receipts_of(self, who: str | UnverifiedReceipt) -> list[ReceiptId]:
        """Return the consents of one person, in force or ended; see `volens.rights.consents_meant`."""
        return consents_meant(self._store, who)

    def answer_access(
        self, receipt_ids: Sequence[ReceiptId], *, with_embedding: bool = True, shown: str | None = None
    ) -> AccessAnswer:
        """Answer a request for access; see `volens.rights.answer_access`."""
        return answer_access(self._store, receipt_ids, with_embedding=with_embedding, shown=shown)

    def status(self) -> SiteStatus:
        """Return what is there now, in numbers."""
        return site_status(self._store)
