"""Doctests see every name of netdsl, as after ``from netdsl import *``."""

import pytest

import netdsl


@pytest.fixture(scope="session", autouse=True)
def _names(doctest_namespace):
    doctest_namespace.update({name: getattr(netdsl, name) for name in netdsl.__all__})
