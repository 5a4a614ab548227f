"""Every exercise of every lesson: its stub must fail its check and its solution must pass.

Lessons are discovered, so a new lesson's exercises are covered without a change here."""
import importlib
import inspect
import pkgutil
import re

import pytest

import lessonkit
from lessonkit.course import exercises

GROUND = {"course", "exercises", "explorers", "train", "widgets"}  # the packages beside the lessons


def lessons() -> list[str]:
    return [m.name for m in pkgutil.iter_modules(lessonkit.__path__) if m.name not in GROUND and not m.name.startswith("_")]


def found() -> dict[str, exercises.Exercise]:
    for name in lessons(): importlib.import_module(f"lessonkit.{name}")
    return {k: e for k, e in exercises.known().items() if e.reference.__module__.startswith("lessonkit.")}


FOUND = found()
each = pytest.mark.parametrize("ex", FOUND.values(), ids=list(FOUND))


def written(source: str, ex: exercises.Exercise):
    "The function that `source` defines, among the names its reference sees."
    names = dict(vars(inspect.getmodule(ex.reference)))
    exec(source, names)
    return names[ex.reference.__name__]


def test_discovery_misses_none():
    "Each `register(...)` in a lesson's module has become an exercise."
    calls = 0
    for name in lessons():
        source = inspect.getsource(importlib.import_module(f"lessonkit.{name}"))
        calls += len(re.findall(r"^register\(", source, re.M))
    assert len(FOUND) >= calls


@each
def test_stub_fails(ex, capsys):
    assert ex.check(written(ex.stub(), ex)) is False
    assert "Not yet" in capsys.readouterr().out


@each
def test_solution_passes(ex, capsys):
    assert ex.check(written(ex.solution(), ex)) is True, capsys.readouterr().out


@each
def test_the_answer_stays_hidden(ex, capsys):
    "No line of the reference's body is in what a learner is shown before asking for the solution."
    stub = ex.stub()
    body = [line.strip() for line in ex.solution().splitlines() if line.strip() and line not in stub]
    assert body
    ex.check(written(stub, ex)), ex.check(lambda *args: 0), ex.check(lambda *args: args[0])
    shown = capsys.readouterr().out + stub + repr(ex) + ex._repr_markdown_()
    assert not [line for line in body if len(line) > 12 and line in shown]


@each
def test_a_learner_is_told_what_to_do(ex):
    assert ex.prompt.strip(), "an exercise needs a prompt"
    assert inspect.getdoc(ex.reference), "the reference's docstring is the stub's: it says what is asked"
    assert ex.hints, "an exercise needs a hint at least"


@each
def test_the_trial_can_be_repeated(ex):
    "The same inputs each time, so that a wrong answer fails each time."
    def text(): return [ex._inputs(args) for args in ex._cases()]
    assert text() == text()
