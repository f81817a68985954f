"""The Privacy area of the screen in a real browser: what holds, changing it, versions, the rule tester, the data map, the ledger."""

import pytest

from test_streams_screen import walk

pytestmark = pytest.mark.local


# What holds from the start is stricter than the preset: the check loosens it.
SEED = 'candor_policy = 1\nextends = "preset:default"\n[collect]\nuser_agent = "family_only"\n[consent.mode]\ndefault = "opt_in"\n'


def test_the_privacy_area_works_and_axe_finds_no_serious_fault(own_server, tmp_path, show):
    policy = tmp_path / "policy.toml"
    policy.write_text(SEED)
    server = own_server("--policy", str(policy))
    assert server.api("POST", "/api/v1/setup", {"email": "ada@example.org", "password": "correct horse battery"}).status == 200
    server.project("shop")
    walk(server, "privacy.mjs", show)
