"""The Privacy area of the screen in a real browser: what holds, changing it, versions, the rule tester, the data map, the ledger."""

import pytest

from test_streams_screen import walk

pytestmark = pytest.mark.local


def test_the_privacy_area_works_and_axe_finds_no_serious_fault(own_server, show):
    server = own_server()
    assert server.api("POST", "/api/v1/setup", {"email": "ada@example.org", "password": "correct horse battery"}).status == 200
    server.project("shop")
    walk(server, "privacy.mjs", show)
