"""Every exercise of every lesson: its stub must fail its check, its solution must pass, and no learner is handed an answer.

The topics are discovered, so a new lesson's exercises are covered without a change here."""
import ast
import importlib
import inspect
import json
import re
import textwrap
from pathlib import Path

import pytest

import lessonkit
from lessonkit.course import exercises, lab

PACKAGE = Path(lessonkit.__file__).parent


def found() -> dict[str, exercises.Exercise]:
    for topic in exercises.topics(): importlib.import_module(f"lessonkit.exercises.{topic}")
    return {k: e for k, e in exercises.known().items() if e.reference.__module__.startswith("lessonkit.")}


FOUND = found()
LESSONS = {name.split("_", 1)[1]: path for name, path in lab.lesson_files().items()}
each = pytest.mark.parametrize("ex", FOUND.values(), ids=list(FOUND))


def written(source: str, ex: exercises.Exercise):
    "The function that `source` defines, among the names its reference sees."
    names = dict(vars(inspect.getmodule(ex.reference)))
    exec(source, names)
    return names[ex.reference.__name__]


def test_discovery_misses_none():
    "Each `register(...)` in the room has become an exercise of its topic, and each topic is a lesson's."
    calls = 0
    for topic in exercises.topics():
        source = inspect.getsource(importlib.import_module(f"lessonkit.exercises.{topic}"))
        calls += len(re.findall(r"^register\(", source, re.M))
    assert len(FOUND) == calls and set(exercises.topics()) == {topic_of(e) for e in FOUND.values()} <= set(LESSONS)


def topic_of(ex) -> str: return ex.name.split("/")[0].replace("-", "_")


@each
def test_the_lesson_poses_it(ex):
    assert ex.reference.__module__ == f"lessonkit.exercises.{topic_of(ex)}"
    source = "\n".join(cells(LESSONS[topic_of(ex)].read_text(encoding="utf-8")))
    shown = re.compile(rf"""exercise\(["']{ex.name}["']\)""")
    assert len(shown.findall(source)) >= 2 and f'exercise("{ex.name}").check(' in source.replace("'", '"')


# answers stay where they are

def cells(notebook: str) -> list[str]:
    return ["".join(c["source"]) for c in json.loads(notebook)["cells"]]


def flat(text: str) -> str:
    "Lines without indent, so that code is found wherever it stands."
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def body(ex) -> tuple[str, str]:
    "The answer without signature and docstring, and its name."
    node = ast.parse(textwrap.dedent(inspect.getsource(ex.reference))).body[0]
    return flat(ex.solution().removeprefix(ex.stub().removesuffix("    ...  # your code here"))), node.name


def places() -> dict[str, str]:
    "All that a learner may come across: lessons with their outputs, learners' copies, lesson modules."
    there = {f"{p.name}": p.read_text(encoding="utf-8") for p in LESSONS.values()}
    copies = {f"copy of {name}": lab.for_learner(text) for name, text in there.items()}
    shown = {name: flat("\n".join(everything(json.loads(text)))) for name, text in (there | copies).items()}
    return shown | {p.name: flat(p.read_text(encoding="utf-8")) for p in PACKAGE.glob("*.py") if not p.stem.startswith("_")}


def everything(o) -> list[str]:
    "Every text in a notebook, its outputs' too."
    if isinstance(o, str): return [o]
    if isinstance(o, list) and all(isinstance(v, str) for v in o): return ["".join(o)]
    return [s for v in (o.values() if isinstance(o, dict) else o if isinstance(o, list) else []) for s in everything(v)]


PLACES = places()


@each
def test_no_lesson_module_or_copy_holds_the_answer(ex):
    answer, name = body(ex)
    first = next(iter(inspect.signature(ex.reference).parameters), "")
    assert len(answer) > 20
    for where, text in PLACES.items():
        assert answer not in text, f"{where} holds the answer to {ex.name}"
        for after in re.findall(rf'^def {name}\({first}\b.*\n(?:"""[^"]*"""\n|["\'].*\n)?(.*)', text, re.M):
            assert after.startswith("..."), f"{where} defines {name}"


def test_what_looks_for_answers_finds_them():
    ex = FOUND["bptt/cut-stream"]
    answer, name = body(ex)
    assert answer in flat("import numpy\n\n" + textwrap.indent(ex.solution(), "    ")) and name == "cut_stream"
    assert any("my_binary" in text for text in PLACES.values()) and any(k.startswith("copy of") for k in PLACES)


def test_lessons_load_no_answer():
    for topic in LESSONS:
        assert "lessonkit.exercises" not in (PACKAGE / f"{topic}.py").read_text(encoding="utf-8")


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
