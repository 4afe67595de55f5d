"""A person who takes their own photos in a zone that asks to turn the head first."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from patience import PATIENCE_S
from playwright.sync_api import Browser, Page, Route, expect
from presentations import turning_head

from tests.pages.camera import CameraFile
from tests.pages.conftest import ServedSite, one_site, overflows, violations
from volens import Site
from volens.face import Extractor, RgbImage
from volens.service import samples

COVER_CAMERA = "document.getElementById('video').style.visibility = 'hidden'"


@pytest.fixture(scope="module")
def served(made_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A site whose lobby asks to turn the head."""
    for one in one_site(made_site, tmp_path_factory.mktemp("turning")):
        with Site.open(one.home) as site:
            site.zones.set_liveness("lobby", "challenge")
        yield one


@pytest.fixture(scope="module")
def head() -> dict[str, RgbImage]:
    near = cv2.resize(samples.astronaut().pixels[20:245, 120:420], (640, 480), interpolation=cv2.INTER_LINEAR)
    return turning_head(Extractor.load_default(), RgbImage(np.asarray(near)))


def sign(page: Page, served: ServedSite, name: str) -> None:
    """Follow an invitation up to the photos."""
    with Site.open(served.home) as site:
        made = site.invitations.invite("lobby", name=name, jurisdiction="FR", language="en")
    page.goto(f"{served.url}/invitation#{made.token.reveal()}")
    page.locator("a[href='/invitation/sign']").click()
    page.locator("#of-age").select_option("yes")
    page.locator("#browser-key").click()
    page.wait_for_url("**/invitation/photos")


def enrolled(served: ServedSite) -> int:
    with Site.open(served.home) as site:
        return sum(sum(zone.references.values()) for zone in site.status().zones)


def test_a_person_turns_the_head_and_then_takes_the_photos(
    page: Page, served: ServedSite, camera: CameraFile, head: dict[str, RgbImage]
) -> None:
    camera.show([head["ahead"], head["left"], head["ahead"], head["right"]])
    sign(page, served, "Tara Turning")
    before = enrolled(served)
    expect(page.locator("#upload")).to_have_count(0)
    page.locator("#calm").click()
    expect(page.locator("#imperative")).to_have_text(re.compile("Turn your head to the (left|right)"))
    expect(page.get_by_role("heading", name="Try it at the door")).to_be_visible()
    assert enrolled(served) == before + 1


def test_a_flat_photo_is_asked_to_turn_and_enrolls_no_one(
    chromium: Browser,
    served: ServedSite,
    camera: CameraFile,
    head: dict[str, RgbImage],
    picture: Callable[[Page, str], None],
) -> None:
    camera.show([head["ahead"]])
    context = chromium.new_context(viewport={"width": 320, "height": 640}, locale="de")
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    sign(page, served, "Flo Flat")
    before = enrolled(served)
    assert not violations(page)
    assert not overflows(page)
    picture(page, "photos-turn-first")
    page.locator("#calm").click()
    expect(page.locator("#imperative")).to_contain_text("Drehen Sie den Kopf")
    expect(page.locator("#spoken")).to_contain_text("Drehen Sie den Kopf")
    side = page.locator("#arrow").get_attribute("data-side")
    assert page.locator("#imperative").inner_text().endswith({"turn_left": "links", "turn_right": "rechts"}[side or ""])
    box = page.locator("#arrow").bounding_box()
    assert box is not None
    # The picture is a mirror, so the person's left is on the left.
    assert (box["x"] + box["width"] / 2 < 160) == (side == "turn_left")
    page.evaluate(COVER_CAMERA)
    assert not violations(page)
    assert not overflows(page)
    picture(page, "photos-turn")
    # As after 20 s, which this test does not wait for.
    page.route("**/invitation/turns", time_over)
    expect(page.get_by_role("alert")).to_contain_text("Kopfdrehung wurde nicht erkannt")
    expect(page.locator("#calm")).to_be_visible()
    picture(page, "photos-turn-over")
    assert enrolled(served) == before
    context.close()


def time_over(route: Route) -> None:
    """Answer as the site does when the time of a challenge is over."""
    route.fulfill(json={"answer": "time_over", "challenge": "", "taken": False})
