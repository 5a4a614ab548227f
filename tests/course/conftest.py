"""What the tests of the data sets share: a server of their own and a data folder of their own."""

import threading
from http.server import ThreadingHTTPServer

import pytest

from lessonkit.course import datasets, fetch

from .served import Handler


@pytest.fixture
def server():
    s = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    s.daemon_threads = True
    s.bodies = {}
    s.plan = []
    s.default = 'ok'
    s.asked = []
    s.sent = 0
    s.etag, s.date = '"one"', None
    s.guard, s.release = threading.Lock(), threading.Event()
    s.url = f'http://127.0.0.1:{s.server_port}'
    thread = threading.Thread(target=s.serve_forever, kwargs={'poll_interval': .02}, daemon=True)
    thread.start()
    yield s
    s.release.set()
    s.shutdown()
    s.server_close()
    thread.join(5)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('LESSONKIT_DATA', str(tmp_path / 'data'))
    monkeypatch.setenv('NO_PROXY', '*')
    monkeypatch.setattr(fetch, 'PAUSE', .01)
    monkeypatch.setattr(fetch, 'STALL_TIMEOUT', .3)
    monkeypatch.setattr(datasets, 'ENTRIES', dict(datasets.ENTRIES))
    return tmp_path / 'data'
