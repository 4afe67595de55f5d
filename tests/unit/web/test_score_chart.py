"""The chart of scores that were counted at enrollment: on the operator's page, of enough people, inside its drawing."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from house import House
from staff_sign_in import signed_in
from starlette.testclient import TestClient

from volens.face.embedder import SFACE_MODEL
from volens.service.http import AppState, application
from volens.service.web.score_chart import HEIGHT, WIDTH, score_chart
from volens.service.web.web_routes import add_pages
from volens.store.programs import Role

SITE = "https://doors.example"


@contextmanager
def health_page(house: House) -> Iterator[str]:
    """The page as an operator sees it."""
    house.site.defaults.set(public_url=SITE)
    state = AppState(house.site, model_threads=1, waiting=4)
    client = TestClient(application(state, add_pages=add_pages), base_url=SITE, follow_redirects=False)
    signed_in(client, house.site, Role.OPERATOR)
    yield client.get("/operator/health").text
    state.close()


def test_the_bars_are_the_shares_of_all_scores_and_inside_the_drawing(alike: House) -> None:
    (found,) = alike.site.zones.measured()
    chart = score_chart(found)

    assert sum(bar.own for bar in chart.bars) == pytest.approx(1)
    assert sum(bar.others for bar in chart.bars) == pytest.approx(1)
    assert max(max(bar.own_height, bar.others_height) for bar in chart.bars) == HEIGHT
    assert chart.bars[-1].x + chart.bar_width <= WIDTH
    assert chart.threshold_x == pytest.approx(found.now.threshold * WIDTH, abs=1)
    own, others = (max(chart.bars, key=lambda bar, of=of: getattr(bar, of)).score for of in ("own", "others"))
    assert others < found.now.threshold < own


def test_the_operator_sees_the_scores_as_a_drawing_and_as_a_table(alike: House) -> None:
    with health_page(alike) as text:
        assert '<line class="limit"' in text
        assert re.search(r'<th scope="row">0\.\d\d</th><td class="number">[\d.]+ %</td>', text)
        assert "style=" not in text


def test_the_scores_of_few_people_are_not_drawn(house: House) -> None:
    house.model_id = SFACE_MODEL.model_id
    house.populate(3, lambda _: 0.3)  # the first has no one to be compared with
    with health_page(house) as text:
        assert '<line class="limit"' not in text
        assert "Drawn from 50 people on; counted so far: 2." in text
