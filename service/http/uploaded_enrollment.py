"""Enrollment from an upload: photos, and the person's half of the key, as a desk's program or a browser sends them."""

from volens.consent import Badge, Custody, PersonSecret
from volens.consent.plain_text import plain_text
from volens.enroll import Enrolled, TurnedHead
from volens.service.http.app_state import AppState
from volens.service.http.bodies import enrollment_photos
from volens.service.process import return_freed_memory


def enroll_uploaded(
    app_state: AppState,
    receipt: bytes,
    custody: Custody,
    photos: list[bytes],
    half: bytes | None,
    *,
    allow_few: bool = False,
    two_people: bool = False,
    turned: TurnedHead | None = None,
) -> tuple[Enrolled, bytes | None]:
    """Enroll the person of a receipt; return the reference, and the sealed badge in a zone of custody ``badge``.

    `custody` is that of the receipt; `half` is the person's secret as a file, in a zone of custody ``subject_key``. The
    secret is wiped, and the memory of the photos is given back.

    Raises:
        InputError: `half` is not such a file, or not what the zone needs.
        VolensError: see `Site.enroll`.
    """
    images = enrollment_photos(photos, app_state.image_decoder.decode)
    badges: list[bytes] = []

    def hand_over(badge: Badge) -> None:
        badges.append(badge.to_bytes())

    secret = None if half is None else PersonSecret.parse(plain_text(half, "the secret"))
    try:
        done = app_state.site.enroll(
            receipt,
            images,
            allow_few=allow_few,
            two_people=two_people,
            secret=secret,
            hand_over=hand_over if custody is Custody.BADGE else None,
            turned=turned,
        )
    finally:
        if secret is not None:
            secret.wipe()
        return_freed_memory()
    return done, badges[0] if badges else None
