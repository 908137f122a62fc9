"""The examples in docstrings say what the code says."""

import doctest
import importlib
import pkgutil

import pytest

import m4i_fast.kernels
import m4i_fast.text

APART = {"m4i_fast.kernels.gpu", "m4i_fast.kernels.gpu_kernels", "m4i_fast.kernels.gpu_texts"}  # of an extra
MODULES = sorted(
    found.name
    for room in (m4i_fast.kernels, m4i_fast.text)
    for found in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    if found.name not in APART and not found.name.endswith("._core")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    tests = [
        test
        for name in MODULES
        for test in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
        if test.examples
    ]
    assert len(tests) > 15
