"""What a site says in public besides its policy: who the controller is, and what people read before they agree."""

from collections.abc import Mapping
from typing import Any

from volens.audit import VerifierKey
from volens.consent.canonical import canonical_sha256
from volens.rights.policy import CONTROLLER_MEMBERS, SIGNATURE
from volens.store import Store
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.site_profiles import profiles_of_site
from volens.store.promises.stated_jurisdictions import stated_jurisdictions


def public_controller(store: Store, key: VerifierKey) -> dict[str, Any]:
    """Return who the controller is. A fact that no one declared is left out.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    with store.read() as connection:
        facts, catalogue = site_facts(connection), profiles_of_site(connection)
    controller = store.site.controller
    return {
        "site_id": controller.site_id,
        "name": controller.name,
        "contact": controller.contact,
        **{fact.value: facts[fact] for fact in CONTROLLER_MEMBERS if fact in facts},
        "jurisdictions": list(stated_jurisdictions(facts, catalogue)),
        "key_name": key.name,
        "key_id": key.key_id.hex(),
    }


def policy_version(policy: Mapping[str, Any]) -> str:
    """Return a hash of what a policy states, signed or not, which is the same whenever it was issued."""
    return canonical_sha256({name: value for name, value in policy.items() if name not in {"dct:issued", SIGNATURE}})
