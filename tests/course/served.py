"""A server on this machine that misbehaves on order, and a small set called toy that it serves."""

import hashlib
import io
import os
import tarfile
import time
import zipfile
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest

from lessonkit.course import datasets
from lessonkit.course.datasets import DataError, Entry, Remote


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        s = self.server
        with s.guard:
            mode = s.plan.pop(0) if s.plan else s.default
            s.asked.append({'path': self.path, 'range': self.headers.get('Range'),
                'if_range': self.headers.get('If-Range'),
                'encoding': self.headers.get('Accept-Encoding')})
        if isinstance(mode, int): return self.send_error(mode)
        body = s.bodies[self.path]
        validators = {'ETag': s.etag, 'Last-Modified': s.date}
        asked, condition = self.headers.get('Range'), self.headers.get('If-Range')
        start = int(asked.removeprefix('bytes=').rstrip('-')) if asked and mode != 'no range' and (mode == 'careless'
            or condition in (None, s.etag, s.date)) else 0
        if start >= len(body): return self.send_error(416)
        self.send_response(206 if start else 200)
        if start: self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
        if mode != 'no length': self.send_header('Content-Length', str(len(body) - start))
        for k, v in validators.items():
            if v: self.send_header(k, v)
        self.end_headers()
        rest = body[start:]
        if mode == 'cut': self.send(rest[:len(rest) // 2])
        elif mode == 'stall':
            self.send(rest[:len(rest) // 2])
            s.release.wait(20)
        elif mode == 'slow':
            for i in range(0, len(rest), step := len(rest) // 20 + 1):
                self.send(rest[i:i + step])
                time.sleep(.05)
        else: self.send(rest)

    def send(self, data):
        try:
            self.wfile.write(data)
            self.wfile.flush()
            with self.server.guard: self.server.sent += len(data)
        except OSError: pass  # the client is gone

    def log_message(self, *args): pass


NOISE = np.random.default_rng(0).bytes(600_000)  # does not compress, so that half an archive is half its bytes


def sha(data): return f'sha256:{hashlib.sha256(data).hexdigest()}'


def tarred(*members, mode='w:gz'):
    "A tar of (name, bytes) or of ready TarInfo."
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for m in members:
            if isinstance(m, tarfile.TarInfo): tar.addfile(m)
            else:
                info = tarfile.TarInfo(m[0])
                info.size = len(m[1])
                tar.addfile(info, io.BytesIO(m[1]))
    return out.getvalue()


def zipped(*members):
    "A zip of (name or ZipInfo, bytes)."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for name, data in members: z.writestr(name, data)
    return out.getvalue()


GOOD = tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE))


def toy(server, body=GOOD, file='toy.tgz', size=None, checksum=None, layout=('toy/a.txt',), url=None):
    "Register a set called toy that the server serves."
    server.bodies[f'/{file}'] = body
    remote = Remote(url or f'{server.url}/{file}', size, checksum)
    return datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free', citation='none',
        homepage='https://example.org/toy',
        returns='str', loader=lambda folder: 'stand-in' if folder is None
            else (folder / layout[0]).read_text(encoding='utf-8'), files=(remote,), layouts=(layout,)))


def refused(home, *words):
    "download('toy') fails in words, and nothing but what can be gone on with is left."
    with pytest.raises(DataError) as e: datasets.download('toy', progress=False)
    message = str(e.value)
    assert 'What to do: ' in message
    for w in words: assert w in message, message
    clean(home)
    assert not (home / 'toy').exists()
    return message


def clean(home):
    "No lock, no half-unpacked folder: only sets, the record, and pairs of .part and its note."
    names = {p.name for p in home.iterdir()} if home.is_dir() else set()
    hidden = {n for n in names if n.startswith('.')}
    assert all(n.endswith(('.part', '.part.json')) for n in hidden), hidden


def parts(home): return [p for p in home.iterdir() if p.name.endswith('.part')]


def placed(home, body=GOOD):
    "download('toy') succeeds and leaves the set, and nothing half-done."
    assert datasets.download('toy', progress=False) == home / 'toy'
    assert (home / 'toy' / 'toy' / 'a.txt').read_text(encoding='utf-8') == 'größe'
    assert (home / 'toy' / 'toy' / 'noise.bin').read_bytes() == NOISE
    clean(home)
    assert not parts(home)


# ---- the real sets, where they are ----

REAL = os.environ.get('LESSONKIT_DATA')  # a folder of real sets, if the one who runs the tests has one


def real(name):
    there = bool(REAL) and os.path.isdir(os.path.join(REAL, name))
    return pytest.mark.skipif(not there,
        reason=f'the real {name} is not on this computer (LESSONKIT_DATA names no folder that holds it)')
