"""The `lessonkit` command as a user meets it: in a process of its own, in a folder of its own.

What `lab` promises about a learner's copies is tested case by case in nbs/course/lab.ipynb; here on the real ones."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lessonkit.course import cli, doctor, lab

POSIX = os.name == "posix"


@pytest.fixture
def home(tmp_path, monkeypatch):
    "A home, a cache, Jupyter folders and a working folder that are empty."
    names = {"HOME": "home", "USERPROFILE": "home", "LESSONKIT_DATA": "data",
             "JUPYTER_CONFIG_DIR": "jupyter/config", "JUPYTER_DATA_DIR": "jupyter/data",
             "JUPYTER_RUNTIME_DIR": "jupyter/runtime", "IPYTHONDIR": "ipython"}
    for name, folder in names.items(): monkeypatch.setenv(name, str(tmp_path / folder))
    for name in ("JUPYTER_PATH", "LESSONKIT_REAL", "JUPYTER_CONFIG_PATH"): monkeypatch.delenv(name, raising=False)
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-c", "import sys; from lessonkit.course.cli import main; sys.exit(main())", *args]


def run(*args: str, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(command(*args), capture_output=True, text=True, encoding="utf-8", timeout=120,
                          env=os.environ | {"PYTHONUTF8": "1"})
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def no_server(monkeypatch):
    "JupyterLab is not started; what would have been is kept."
    started = []
    monkeypatch.setattr(cli, "serve", lambda args, folder: started.append((args, folder)) or 0)
    return started


def sources(path: Path) -> list[str]:
    return ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def edit(path: Path, line: str):
    nb = json.loads(path.read_text(encoding="utf-8"))
    nb["cells"][0]["source"] = [line]
    path.write_text(json.dumps(nb), encoding="utf-8")


# help, versions and mistakes

def test_help_answers_at_once_and_loads_nothing_large(home):
    code = ("import sys; from lessonkit.course.cli import main; main(['--help']); "
            "print(sorted({'torch', 'numpy', 'pandas', 'IPython'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(word in done.stdout for word in ("lab", "download", "data", "doctor"))


@pytest.mark.parametrize("name", ["lab", "download", "data", "doctor"])
def test_each_command_teaches_by_example(home, name): assert f"\n  lessonkit {name}" in run(name, "--help").stdout


@pytest.mark.parametrize("args", [(), ("lap",), ("download",), ("lab", "a", "b"), ("lab", "--open"),
                                  ("data", "--", "--port"), ("download", "imdb", "nietzsche", "--from", ".")])
def test_what_is_not_understood_exits_2(home, args): assert run(*args, code=2).stderr.strip()


def test_version(home): assert run("--version").stdout.startswith("lessonkit 0.")


# lab

def test_lab_lays_every_lesson_and_opens_the_first(home, no_server, capsys):
    assert cli.main(["lab"]) == 0
    folder = home / "work" / "lessonkit-lessons"
    lessons = lab.lesson_files()
    assert lessons and {p.name for p in folder.glob("*.ipynb")} == {p.name for p in lessons.values()}
    for name, original in lessons.items():
        shown, written = sources(folder / original.name), sources(original)
        left_out = written[len(shown):]
        assert shown == written[:len(shown)] and left_out[0].startswith("## Checks")
        assert not [s for s in left_out[1:] if s.startswith("## ")]
    (args, at), = no_server
    assert at == folder and any(next(iter(lessons)) in a for a in args) and "--no-browser" not in args
    assert next(iter(lessons)) in capsys.readouterr().out


def test_lab_opens_what_was_asked_for_and_passes_the_rest_on(home, no_server):
    name = list(lab.lesson_files())[-1]
    number, topic = name.split("_", 1)
    for key in (number, topic, name):
        assert cli.main(["lab", "here", "--open", key, "--no-browser", "--", "--port", "9999"]) == 0
    for args, _ in no_server:
        assert f"--LabApp.default_url=/lab/tree/{name}.ipynb" in args
        assert args[-3:] == ["--no-browser", "--port", "9999"]


def test_lab_never_overwrites_an_edit(home, no_server):
    cli.main(["lab", "here"])
    copies = sorted(Path("here").glob("*.ipynb"))
    for p in copies: edit(p, "what I wrote")
    was = {p: p.read_bytes() for p in copies}
    for _ in range(2): assert cli.main(["lab", "here"]) == 0
    assert {p: p.read_bytes() for p in Path("here").glob("*.ipynb")} == was


def test_lab_lays_a_new_version_beside_an_edit_and_says_so(home, no_server, capsys, monkeypatch):
    cli.main(["lab", "here"])
    name, original = next(iter(lab.lesson_files().items()))
    copy = Path("here", original.name)
    edit(copy, "what I wrote")
    was = copy.read_bytes()
    lessons = home / "newer"
    lessons.mkdir()
    (lessons / original.name).write_bytes(original.read_bytes())
    edit(lessons / original.name, "what the lesson says now")
    monkeypatch.setattr(lab, "lessons_folder", lambda: lessons)
    capsys.readouterr()
    assert cli.main(["lab", "here"]) == 0
    beside = Path("here", f"{name} (new).ipynb")
    assert beside.name in capsys.readouterr().out
    assert copy.read_bytes() == was and sources(beside)[0] == "what the lesson says now"


def test_lab_reset_keeps_the_old(home, no_server, capsys):
    cli.main(["lab", "here"])
    name, original = next(iter(lab.lesson_files().items()))
    copy = Path("here", original.name)
    fresh = copy.read_bytes()
    edit(copy, "what I wrote")
    was = copy.read_bytes()
    assert cli.main(["lab", "here", "--reset", name.split("_")[0]]) == 0
    kept, = Path("here").glob(f"{name} (yours *).ipynb")
    assert kept.read_bytes() == was and copy.read_bytes() == fresh and kept.name in capsys.readouterr().out


def test_lab_says_what_is_wrong(home, no_server, capsys, monkeypatch):
    Path("file").write_text("not a folder")
    cases = {("lab", "file"): "is a file", ("lab", "here", "--open", "nonesuch"): "there is no lesson 'nonesuch'",
             ("lab", "here", "--reset", "99"): "there is no lesson '99'",
             ("lab", str(lab.lessons_folder())): "give another folder",
             ("lab", str(Path("file") / "below")): "file"}
    for args, words in cases.items():
        assert cli.main(list(args)) == 1
        assert words in capsys.readouterr().err
    assert not Path("here").exists() and not no_server

    real = lab.importlib.util.find_spec
    monkeypatch.setattr(lab.importlib.util, "find_spec",
                        lambda name, *a: None if name == "jupyterlab" else real(name, *a))
    assert cli.main(["lab", "here"]) == 1
    assert "pip install jupyterlab" in capsys.readouterr().err


def test_lab_in_a_folder_that_cannot_be_written(home, no_server, capsys, monkeypatch):
    def refuse(*args): raise PermissionError(13, "Permission denied", "here")

    monkeypatch.setattr(lab.os, "replace", refuse)
    assert cli.main(["lab", "here"]) == 1
    assert "Permission denied: here" in capsys.readouterr().err
    assert not list(Path("here").iterdir()) and not no_server # nothing half-done is left


@pytest.fixture
def server(home):
    yield from serving(home)


def serving(home):
    "JupyterLab, really started by `lessonkit lab`; its port and its process."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(home / "lab.log", "w+", encoding="utf-8")
    more = ["--ip", "127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    process = subprocess.Popen(command("lab", "here", "--no-browser", "--", *more), stdout=log,
                               stderr=subprocess.STDOUT, start_new_session=POSIX)
    yield port, process, home / "lab.log"
    if process.poll() is None: end(process)
    process.wait(30)
    log.close()


def end(process):
    "Ends `lessonkit lab`, politely where the system knows how; it ends JupyterLab."
    if POSIX: process.terminate()
    else: subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], check=True, capture_output=True)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer: return answer.read().decode()


def address(process, log: Path, seconds: float = 90) -> str:
    "The address that JupyterLab prints for its user, token and all."
    deadline = time.time() + seconds
    while time.time() < deadline and process.poll() is None:
        found = re.search(r"http://(?:127\.0\.0\.1|localhost):\S+", log.read_text(encoding="utf-8"))
        if found: return found[0]
        time.sleep(.2)
    raise AssertionError(f"JupyterLab gave no address:\n{log.read_text(encoding='utf-8')}")


def test_lab_starts_jupyterlab_without_news_and_ends_quietly(server):
    port, process, log = server
    name, url = next(iter(lab.lesson_files())), address(process, log)
    assert url.startswith(f"http://127.0.0.1:{port}/lab/tree/{name}.ipynb?token=")
    page = fetch(url)
    config = json.loads(page.split('id="jupyter-config-data" type="application/json">')[1].split("</script>")[0])
    assert config["news"] == {"disabled": True}
    token = url.split("?")[1]
    there = json.loads(fetch(f"http://127.0.0.1:{port}/api/contents?{token}"))["content"]
    assert f"{name}.ipynb" in [f["name"] for f in there]

    # a notebook saved with a live widget opens again as a picture
    data = {lab.WIDGET: {"model_id": "x"}, "image/png": "iVBO", "text/plain": "a sentence"}
    live = {"data": data, "metadata": {}, "output_type": "display_data"}
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": "it", "outputs": [live]}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
    to = f"http://127.0.0.1:{port}/api/contents/saved.ipynb?{token}"
    urllib.request.urlopen(urllib.request.Request(to, body, method="PUT"), timeout=10).close()
    saved = json.loads((log.parent / "work" / "here" / "saved.ipynb").read_text(encoding="utf-8"))
    assert sorted(saved["cells"][0]["outputs"][0]["data"]) == ["image/png", "text/plain"]

    if POSIX: os.killpg(process.pid, signal.SIGINT) # what Ctrl-C at a terminal does: both processes get it
    else: end(process)
    code = process.wait(30)
    text = log.read_text(encoding="utf-8")
    if POSIX: assert code == 0 and "Traceback" not in text and "Your lessons are in" in text
    with pytest.raises(OSError): fetch(url)


def test_lab_prints_the_address_where_the_token_is_the_users_own(home, monkeypatch):
    monkeypatch.setenv("JUPYTER_TOKEN", "only-for-me")
    port, process, log = next(started := serving(home))
    url = address(process, log)
    assert url.startswith("http://") and f":{port}/lab/tree/{next(iter(lab.lesson_files()))}.ipynb" in url
    assert "only-for-me" not in log.read_text(encoding="utf-8")
    next(started, None)


@pytest.mark.skipif(not POSIX, reason="Ctrl-C reaches a process of its own group on POSIX alone")
@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.2])
def test_ctrl_c_during_start_is_one_line_and_130(home, seconds):
    process = subprocess.Popen(command("lab", "here", "--no-browser", "--", "--port=0"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.time() + 60
    while not Path("here", lab.NOTE).exists() and time.time() < deadline: time.sleep(.02)  # our own code runs
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0: return  # JupyterLab was up: this is how one ends it
    assert process.returncode == 130 and "Traceback" not in err
    assert [line for line in err.splitlines() if line.startswith("lessonkit: ")] == err.splitlines()


def test_ctrl_c_in_a_command_is_one_line_and_130(home, monkeypatch, capsys):
    def interrupt(*args): raise KeyboardInterrupt

    monkeypatch.setattr(cli, "lay", interrupt)
    assert cli.main(["lab", "here"]) == 130
    assert capsys.readouterr().err == "lessonkit: stopped\n"


def test_lab_says_which_folder_jupyter_cannot_write_to(home, monkeypatch, capsys):
    Path("file").write_text("in the way")
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(Path("file", "below").absolute()))
        assert cli.main(["lab", "here"]) == 1
        err = capsys.readouterr().err
        assert name in err and "file" in err and err.count("\n") == 1
        monkeypatch.setenv(name, str(home / "jupyter" / "free"))


@pytest.mark.skipif(not POSIX, reason="links need rights on Windows")
def test_lab_in_a_folder_that_is_a_link_to_itself(home, no_server, capsys):
    Path("loop").symlink_to("loop")
    assert cli.main(["lab", "loop"]) == 1 and "leads to itself" in capsys.readouterr().err
    assert cli.main(["lab", "~nobody-of-this-name/x"]) == 1 and "home folder" in capsys.readouterr().err


def test_two_resets_at_once_keep_the_edit(home):
    "Two commands, two processes: what the learner wrote is there afterwards, in every round."
    code = "from pathlib import Path; from lessonkit.course import lab; lab.lay(Path('here'), [{!r}])"
    name, original = next(iter(lab.lesson_files().items()))
    lab.lay(Path("here"))
    for round in range(3):
        edit(Path("here", original.name), f"round {round}")
        both = [subprocess.Popen([sys.executable, "-c", code.format(name)]) for _ in range(2)]
        assert [p.wait(60) for p in both] == [0, 0]
        kept = [p.read_bytes() for p in Path("here").glob(f"{name} (yours *")]
        assert all(kept) and sum(f"round {round}".encode() in data for data in kept) == 1


# data and download

def test_data_lists_every_set_with_its_terms(home):
    from lessonkit.course import datasets

    text = run("data").stdout
    assert str(home / "data") in text and not (home / "data").exists()
    for row in datasets.available().itertuples(): assert f"{row.Index}: {row.title}" in text
    assert text.count("terms: ") == len(datasets.available())


def test_download_of_an_unknown_set_names_those_there_are(home):
    err = run("download", "nietsche", code=1).stderr
    assert "nietzsche" in err and "imdb" in err


def test_download_goes_on_after_a_failure_and_says_where_sets_are(home, monkeypatch, capsys):
    from lessonkit.course import datasets

    def download(name):
        if name == "bad": raise datasets.DataError("no network", "try again later")
        return home / "data" / name

    monkeypatch.setattr(datasets, "download", download)
    assert cli.main(["download", "bad", "good"]) == 1
    out, err = capsys.readouterr()
    assert "try again later" in err and str(home / "data" / "good") in out
    assert cli.main(["download", "good"]) == 0


def test_download_from_a_folder(home, capsys):
    "A set that was fetched by hand is copied into the data folder; a folder with something else is refused in words."
    from lessonkit.course import datasets

    Path("wrong").mkdir()
    assert cli.main(["download", "nietzsche", "--from", "wrong"]) == 1
    assert "What to do:" in capsys.readouterr().err

    right = Path("right")
    for part in datasets.ENTRIES["nietzsche"].layouts[0]:
        (right / part).parent.mkdir(parents=True, exist_ok=True)
        (right / part).write_text("PREFACE\n\n\nSUPPOSING that Truth is a woman--what then?", encoding="utf-8")
    assert cli.main(["download", "nietzsche", "--from", str(right)]) == 0
    assert (home / "data" / "nietzsche").is_dir() and right.is_dir()
    assert "nietzsche: " in run("data").stdout and "here, " in run("data").stdout


# doctor

def checks(capsys, code: int) -> dict:
    assert cli.main(["doctor", "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (code == 0)
    return {c["name"]: c for c in report["checks"]}


def test_doctor_finds_this_installation_usable(home):
    text = run("doctor").stdout
    assert "Everything is usable." in text and "WRONG" not in text
    for word in ("Python", "torch", "ipywidgets", "anywidget", "jupyterlab", "notebook kernel", "data folder"):
        assert word in text
    assert "GB free" in text


def test_doctor_finds_what_is_missing_or_too_old(home, capsys, monkeypatch):
    real = doctor._version
    here = {"anywidget": None, "ipywidgets": "7.6.5", "tqdm": "4.1"}
    monkeypatch.setattr(doctor, "_version", lambda p: here[p] if p in here else real(p))
    found = checks(capsys, 1)
    assert found["anywidget"]["found"] == "not installed" and "pip install" in found["anywidget"]["advice"]
    assert "7.6.5, but >=7.7 is needed" in found["ipywidgets"]["found"]
    assert '"ipywidgets>=7.7"' in found["ipywidgets"]["advice"]
    assert not found["tqdm"]["ok"]

    cli.main(["doctor"])
    out = capsys.readouterr().out
    assert "WRONG  anywidget" in out and "To put right: ipywidgets, anywidget, tqdm" in out


def test_doctor_finds_a_package_that_does_not_import(home, capsys, monkeypatch):
    real = doctor.importlib.import_module

    def broken(name):
        if name == "anywidget": raise RuntimeError("half installed")
        return real(name)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    found = checks(capsys, 1)["anywidget"]
    assert "half installed" in found["found"] and "--force-reinstall" in found["advice"]


def test_doctor_finds_another_installations_widget_extension(home, capsys, monkeypatch):
    "JUPYTER_PATH comes first wherever JupyterLab looks for extensions."
    stale = home / "stale" / "labextensions" / "anywidget"
    stale.mkdir(parents=True)
    (stale / "package.json").write_text('{"name": "anywidget", "version": "0.1.0"}')
    monkeypatch.setenv("JUPYTER_PATH", str(home / "stale"))
    found = checks(capsys, 1)
    assert str(stale) in found["anywidget in JupyterLab"]["found"]
    assert "JUPYTER_PATH" in found["anywidget in JupyterLab"]["advice"]
    assert found["jupyterlab_widgets in JupyterLab"]["ok"]


def test_doctor_finds_an_extension_where_the_server_does_not_look(home, capsys, monkeypatch):
    import jupyter_core.paths

    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *sub: [str(home / "nowhere")])
    found = checks(capsys, 1)["anywidget in JupyterLab"]
    assert "where the server does not look" in found["found"]
    advised = Path(found["advice"].split("add ")[1].split(" to JUPYTER_PATH")[0])
    assert (advised / "labextensions" / "anywidget" / "package.json").is_file()


def test_doctor_finds_a_kernel_of_another_python(home, capsys):
    kernel = home / "jupyter" / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    other = home / "other" / "bin" / "python"
    argv = [str(other), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "0"
    try: found = checks(capsys, 1)["notebook kernel"]
    finally: del os.environ["JUPYTER_PREFER_ENV_PATH"]
    assert str(other) in found["found"] and str(kernel) in found["advice"]


def test_doctor_finds_a_data_folder_it_cannot_write_to(home, capsys, monkeypatch):
    def refuse(*args, **kwargs): raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    found = checks(capsys, 1)["data folder"]
    assert "cannot be written to" in found["found"] and "LESSONKIT_DATA" in found["advice"]


def test_doctor_finds_a_full_disk(home, capsys, monkeypatch):
    full = doctor.shutil.disk_usage(home)._replace(free=10**6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: full)
    assert "free at least 1 GB" in checks(capsys, 1)["data folder"]["advice"]


def test_doctor_says_that_a_cpu_is_enough(home, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "the CPU, which is enough" in checks(capsys, 0)["torch"]["found"]


def test_doctor_names_a_gpu_and_its_memory(home, capsys, monkeypatch):
    import types

    import torch

    card = types.SimpleNamespace(name="NVIDIA H200", total_memory=140 * 2**30)
    for name, value in {"is_available": True, "device_count": 2, "get_device_properties": card}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *a, v=value: v)
    assert "NVIDIA H200 (140 GiB) and NVIDIA H200 (140 GiB)" in checks(capsys, 0)["torch"]["found"]
