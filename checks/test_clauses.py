"""The table of clauses is whole, and what it names is there. That its checks can fail is shown by `make mutants`."""

import re

import pytest

import clause_table

pytestmark = pytest.mark.local

# It grows as clauses are built, and never shrinks.
CHECKED_MIN = 71


def test_every_clause_is_there_once():
    expected = [f"{prefix}-{number:02}" for prefix, count in clause_table.POLICIES.values() for number in range(1, count + 1)]
    assert list(clause_table.clauses()) == expected
    assert len(expected) == 126


def test_every_clause_says_how_it_stands(show):
    counts = dict.fromkeys(clause_table.STATES, 0)
    for clause, entry in clause_table.clauses().items():
        assert set(entry) <= {"about", "keys", "state", "checks", "open", "why", "unsaid"}, clause
        assert entry["about"] and isinstance(entry["keys"], list), clause
        counts[entry["state"]] += 1
        if entry["state"] == "checked":
            assert entry["checks"] and "why" not in entry, clause
        else:
            assert entry["why"] and "checks" not in entry, clause
    assert counts["checked"] >= CHECKED_MIN
    show(f"clauses: {counts['checked']} checked, {counts['attested']} attested, {counts['later']} later")


def test_every_check_is_of_a_clause_and_there():
    used = {name for entry in clause_table.clauses().values() for name in entry.get("checks", [])}
    assert used == set(clause_table.checks())
    for check in clause_table.checks().values():
        source = clause_table.source_of(check)
        kind = "def" if check.is_outside else "fn"
        assert len(re.findall(rf"\b{kind} {check.function}\(", source)) == 1, f"{check.name}: {check.test} is not there"


def test_every_mutation_has_its_place():
    for check in clause_table.checks().values():
        code = (clause_table.ROOT / check.file).read_text()
        assert code.count(check.find) == 1, f"{check.name}: {check.find!r} is {code.count(check.find)} times in {check.file}"
        assert check.replace != check.find, check.name
        assert "tests/" not in check.file and check.file.endswith(".rs"), f"{check.name}: breaks no code of ours"


def test_a_clause_without_a_key_says_so():
    for clause, entry in clause_table.clauses().items():
        assert entry["keys"] or "unsaid" in entry, f"{clause} has no key, and no reason why no page has a sentence of it"
