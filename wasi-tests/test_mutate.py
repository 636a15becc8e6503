"""`mutate` takes too long for every day; that it still says what is there is told here."""

import importlib.machinery
import importlib.util
import pathlib
import re

HERE = pathlib.Path(__file__).parent
LOADER = importlib.machinery.SourceFileLoader("mutate", str(HERE / "mutate"))
SPEC = importlib.util.spec_from_loader("mutate", LOADER)
MUTATE = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(MUTATE)


def test_each_defence_that_is_taken_out_is_there_once():
    wrong = [name for name, file, there, _, _ in MUTATE.MUTATIONS if (HERE.parent / file).read_text().count(there) != 1]
    assert not wrong


def test_each_defence_has_a_test():
    tests = set(re.findall(r"^def test_(\w+)", (HERE / "test_scripted_host.py").read_text(), re.M))
    named = {test for *_, expected in MUTATE.MUTATIONS for test in expected or ()}
    assert named and named <= tests, named - tests
