"""A private server for all tests here, a database of its own for each."""

import itertools

import pytest

import sop

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server():
    with sop.testing.server() as running:
        yield running


@pytest.fixture
def db(server):
    with server.database(f"test-{next(_numbers)}") as database:
        yield database
