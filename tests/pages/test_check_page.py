"""The pages that anyone may read: checking documents in the browser, what is public, the policy and the notices."""

import json
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from playwright.sync_api import BrowserContext, Page
from small_witness import SmallWitness

from tests.pages.conftest import ServedSite
from tests.pages.verifier_page import VerifierPage
from tests.vectors.build_vectors import FOLDER, SITE_SEED, worked_example
from volens import Site
from volens.audit import Checkpoint, VerifierKey, leaf_hash, new_nodes, root, sign_checkpoint
from volens.audit.witnessed_head import WitnessedHead
from volens.consent import VolensError
from volens.erase.proof import verify_certificate
from volens.erase.proof.certificate import CERTIFICATE
from volens.rights import verify_policy
from volens.service.web.verifier_file import verifier_file


def key_of(served: ServedSite) -> VerifierKey:
    return VerifierKey.parse((served.home / "site.pub").read_text("utf-8"))


def test_the_page_has_the_key_of_the_site_and_sends_no_file(
    page: Page, context: BrowserContext, served_to_all: ServedSite
) -> None:
    verifier = VerifierPage.opened(page, f"{served_to_all.url}/verify")
    key = key_of(served_to_all)
    assert page.inner_text("#verify-key-name") == key.name
    assert page.inner_text("#verify-key-id") == key.key_id.hex()
    assert "sent by the site itself" in page.inner_text("#verify-key")
    context.set_offline(True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log = served_to_all.volens("audit", "show", "--json")
    assert json.loads(log)
    out = served_to_all.home.parent / "log.jsonl"
    served_to_all.volens("audit", "export", str(out))
    said = verifier.choose({"log.jsonl": out.read_bytes(), "r.txt": (FOLDER / "receipt_good.txt").read_bytes()})
    assert {one.state for one in said.values()} == {"valid"}
    assert not asked


def test_a_visitor_puts_in_the_key_that_they_kept(page: Page, served_to_all: ServedSite) -> None:
    verifier = VerifierPage.opened(page, f"{served_to_all.url}/verify")
    certificate = {"c.json": (FOLDER / "worked_certificate.json").read_bytes()}
    assert verifier.choose(certificate)["c.json"].state == "wrong-key"
    page.set_input_files("#verify-key-file", FOLDER / "worked_site.pub")
    page.wait_for_selector("#verify-verdicts article[data-state=valid]")
    assert "from the site.pub that you put in" in page.inner_text("#verify-key")
    assert page.inner_text("#verify-key-id") == "e769623e"


def witnessed_certificate() -> bytes:
    """The certificate of the worked example, with a checkpoint of one leaf more that a witness has cosigned."""
    worked, nodes = worked_example(), dict[tuple[int, int], bytes]()
    leaves = [line for line in (FOLDER / "worked_log.jsonl").read_bytes().splitlines() if line.startswith(b'{"at"')]

    def read(level: int, index: int, /) -> bytes:
        return nodes[level, index]

    for size, leaf in enumerate([*leaves, b"another"]):
        nodes.update({(level, at): node for level, at, node in new_nodes(size, leaf_hash(leaf), read)})
    head = Checkpoint(worked.key.name, 4, root(4, read))
    note = sign_checkpoint(head, Ed25519PrivateKey.from_private_bytes(SITE_SEED)) + SmallWitness().cosign(head.body())
    token, _ = CERTIFICATE.from_file(worked.certificate)
    return CERTIFICATE.to_file(token, [], WitnessedHead.of(note, 3, 4, read).to_json())


def test_a_certificate_with_a_cosigned_checkpoint_is_checked_with_it(page: Page, served_to_all: ServedSite) -> None:
    data, key = witnessed_certificate(), worked_example().key
    assert verify_certificate(data, key).witnessed is not None
    proof = json.loads(data)["witnessed"]["consistency"][0].encode()
    files = {
        "good.json": data,
        "proof.json": data.replace(proof, proof.swapcase(), 1),
        "size.json": data.replace(b"\\n4\\n", b"\\n5\\n", 1),
        "more.json": data.replace(b'"consistency"', b'"more": 1, "consistency"', 1),
        "blank.json": data.replace(b', "consistency"', b',"consistency"', 1),
    }
    verifier = VerifierPage.opened(page, f"{served_to_all.url}/verify")
    page.set_input_files("#verify-key-file", FOLDER / "worked_site.pub")
    said = {name: one.state for name, one in verifier.choose(files).items()}
    assert said.pop("good.json") == "valid"
    assert not {"valid", "wrong-key"} & {*said.values()}
    for name in said:
        with pytest.raises(VolensError):
            verify_certificate(files[name], key)


@pytest.mark.parametrize("language", ["en", "fr", "de"])
def test_the_downloaded_verifier_is_the_one_of_the_command(
    page: Page, served_to_all: ServedSite, language: str, tmp_path: Path
) -> None:
    page.goto(f"{served_to_all.url}/verify?lang={language}")
    with page.expect_download() as download:
        page.click("a[download^=verifier]")
    data = Path(download.value.path()).read_bytes()
    assert download.value.suggested_filename == f"verifier-{language}.html"
    assert data == verifier_file(language)  # type: ignore[arg-type]  # one of the three
    assert sha256(data).hexdigest() in page.inner_text("main")
    served_to_all.volens("verifier", "--out", str(tmp_path / "v.html"), "--language", language)
    assert (tmp_path / "v.html").read_bytes() == data


def test_what_anyone_may_see_is_reached_from_one_page_without_a_credential(
    page: Page, served_to_all: ServedSite
) -> None:
    page.goto(f"{served_to_all.url}/public")
    links = page.eval_on_selector_all("main a", "all => all.map(one => one.getAttribute('href'))")
    for path in ("/verify", "/policy", "/policy.json", "/v1/log/site.pub", "/v1/log/checkpoint"):
        assert path in links
    assert {"/notices/lobby?notice=fr", "/notices/archive?notice=de", "/.well-known/security.txt"} <= {*links}
    for path in links:
        answer = httpx2.get(f"{served_to_all.url}{path}")
        assert answer.status_code == 200, path
        assert answer.content
    assert key_of(served_to_all).key_id.hex() in page.inner_text("main")


def test_the_signed_policy_is_checked_in_the_browser(page: Page, served_to_all: ServedSite) -> None:
    data = httpx2.get(f"{served_to_all.url}/policy.json").content
    policy = verify_policy(data, key_of(served_to_all))
    assert len(policy["dpv:hasPersonalDataProcess"]) == 3
    verifier = VerifierPage.opened(page, f"{served_to_all.url}/verify")
    changed = data.replace(b"90", b"91", 1)
    said = verifier.choose({"policy.json": data, "changed.json": changed})
    assert {name: one.state for name, one in said.items()} == {"policy.json": "valid", "changed.json": "invalid"}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "How long Example Ltd keeps face data"),
        ("fr", "Combien de temps Example Ltd"),
        ("de", "Wie lange Example"),
    ],
)
def test_the_policy_is_in_the_language_of_the_visitor(
    page: Page, served_to_all: ServedSite, language: str, words: str
) -> None:
    page.goto(f"{served_to_all.url}/policy?lang={language}")
    assert words in page.inner_text("main h1")
    assert "Lobby (lobby)" in page.inner_text("main")


def test_a_notice_is_shown_in_the_language_of_the_visitor_or_in_the_chosen_one(
    page: Page, served_to_all: ServedSite
) -> None:
    with Site.open(served_to_all.home) as site:
        notice = site.notice("lobby", "de")
    page.goto(f"{served_to_all.url}/notices/lobby?lang=de")
    assert "Wer Sie fragt. Example Ltd." in page.inner_text(".notice")
    assert page.locator(".notice h2").first.inner_text().startswith("Ihr Gesicht an den Türen von")
    assert not [mark for mark in ("**", "##", "volens:") if mark in page.inner_text(".notice")]
    assert notice.sha256 in page.inner_text("main")
    page.get_by_role("link", name="Français", exact=True).last.click()
    assert page.get_attribute(".notice", "lang") == "fr"
    assert page.locator("html").get_attribute("lang") == "de"


@pytest.mark.parametrize("path", ["/notices/nothing", "/notices/lobby?notice=it", "/notices/<b>"])
def test_a_notice_that_there_is_not_gets_a_page_with_one_sentence(served_to_all: ServedSite, path: str) -> None:
    answer = httpx2.get(f"{served_to_all.url}{path}", headers={"Accept": "text/html"})
    assert 400 <= answer.status_code < 500
    assert "<h1>" in answer.text
    assert "<b>" not in answer.text
