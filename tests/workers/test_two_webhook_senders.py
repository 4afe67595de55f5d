"""Two processes deliver from one outbox: nothing is lost, and each person's messages arrive in order."""

import json

from house import House, no_models
from receiver import receiver

from volens import Site
from volens.service.webhooks import WebhookSender
from volens.store.programs import MessageKind

PEOPLE = 6


def test_two_webhook_senders_deliver_everything_in_order_for_each_person(house: House) -> None:
    with (
        receiver() as panel,
        Site.open(house.site.home, load_extractor=no_models, clock=house.clock, random=house.bits.randbytes) as other,
    ):
        house.site.rights.recipients.add("lobby", "panel")
        house.site.programs.endpoints.add(
            "lobby",
            "panel",
            url=panel.url,
            allow_private=True,
            kinds=[MessageKind.CONSENT_GIVEN, MessageKind.SUBJECT_ERASED],
        )
        couriers = [WebhookSender(site) for site in (house.site, other)]
        for one in couriers:
            one.start()
        try:
            people = [house.admit() for _ in range(PEOPLE)]
            panel.wait_for(PEOPLE)
            for person in people:
                house.withdraw(person)
            panel.wait_for(2 * PEOPLE)
        finally:
            for one in couriers:
                one.close()
        assert house.site.programs.outbox.state().waiting == 0
        types: dict[str, list[str]] = {}
        for received in panel.got:
            said = json.loads(received.body)
            types.setdefault(said["data"]["subject_id"], []).append(said["type"])
    assert types == {person.subject_id: ["consent.given", "subject.erased"] for person in people}
