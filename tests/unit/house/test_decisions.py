"""The index of the decisions holds every one of them, by number and title."""

from tests.unit.house.decisions import ADRS, PAGE, page, titles


def test_the_index_is_what_the_pages_say():
    assert PAGE.read_text() == page(), "run python -m tests.unit.house.decisions"


def test_every_page_is_listed():
    assert len(titles()) == len(list(ADRS.iterdir())) - 1
