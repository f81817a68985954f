"""Fixtures of the black-box checks, and the closing tables that a check asks to print."""

import pytest

import cluster
from server import CLUSTERED, Server

_tables: list[str] = []


def pytest_configure(config):
    config.addinivalue_line("markers", "local: what only a data dir has, left out with CANDOR_MODE=cluster")


def pytest_collection_modifyitems(items):
    if not CLUSTERED:
        return
    lacks = cluster.missing()
    for item in items:
        if lacks:
            item.add_marker(pytest.mark.skip(reason=f"{lacks}: 1 case"))
        elif item.get_closest_marker("local"):
            item.add_marker(pytest.mark.skip(reason="only a data dir has this: 1 case"))


def pytest_unconfigure():
    cluster.CLUSTER.cleanup()


@pytest.fixture(scope="session")
def server():
    """One server that the checks of a run share; each makes projects of its own."""
    with Server() as running:
        yield running


@pytest.fixture
def own_server():
    """A server for one check alone, which may kill it."""
    made = []

    def make(*flags, data_dir=None, **how):
        running = Server(data_dir, *flags, **how)
        made.append(running)
        return running.start()

    yield make
    for running in made:
        running.cleanup()


@pytest.fixture
def show():
    """Prints a line in the run's closing summary, where people look for figures."""
    return _tables.append


def pytest_terminal_summary(terminalreporter):
    if _tables:
        terminalreporter.section("figures")
        for line in _tables:
            terminalreporter.write_line(line)
