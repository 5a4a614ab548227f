"""The data sets and their way in, against a server on this machine that misbehaves on order."""

import errno
import gzip
import hashlib
import io
import os
import re
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lessonkit.course import datasets, fetch, images, table_rules, tables
from lessonkit.course.datasets import DataError, Entry, Remote, UnknownData

REAL = os.environ.get('LESSONKIT_DATA')  # a folder of real sets, if the one who runs the tests has one


# ---- a server that misbehaves on order ----

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        s = self.server
        with s.guard:
            mode = s.plan.pop(0) if s.plan else s.default
            s.asked.append({'path': self.path, 'range': self.headers.get('Range'), 'if_range': self.headers.get('If-Range'),
                'encoding': self.headers.get('Accept-Encoding')})
        if isinstance(mode, int): return self.send_error(mode)
        body = s.bodies[self.path]
        validators = {'ETag': s.etag, 'Last-Modified': s.date}
        asked, condition = self.headers.get('Range'), self.headers.get('If-Range')
        start = int(asked.removeprefix('bytes=').rstrip('-')) if asked and mode != 'no range' and (mode == 'careless' or condition in (None, s.etag, s.date)) else 0
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


@pytest.fixture
def server():
    s = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    s.daemon_threads = True
    s.bodies, s.plan, s.default, s.asked, s.sent = {}, [], 'ok', [], 0
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


# ---- small helpers ----

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
    return datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free', citation='none', homepage='https://example.org/toy',
        returns='str', loader=lambda folder: 'stand-in' if folder is None else (folder / layout[0]).read_text(encoding='utf-8'), files=(remote,), layouts=(layout,)))


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


# ---- the way in, when all goes well ----

def test_a_plain_download_is_placed_and_not_asked_for_again(server, home):
    toy(server, size=len(GOOD), checksum=sha(GOOD))
    placed(home)
    placed(home)
    assert len(server.asked) == 1
    assert datasets.load('toy') == 'größe'


@pytest.mark.parametrize('file, body', [
    ('toy.zip', zipped(('toy/a.txt', 'größe'), ('toy/noise.bin', NOISE))),
    ('toy.tar', tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE), mode='w')),
    ('toy.tar.xz', tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE), mode='w:xz')),
    # a tar whose last file is a zip must not be taken for that zip
    ('toy.tar', tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE), ('toy/z.zip', zipped(('in.txt', 'in'))), mode='w')),
])
def test_each_kind_of_archive(server, home, file, body):
    toy(server, body, file)
    placed(home)


def test_a_set_of_several_plain_files(server, home):
    server.bodies |= {'/a.txt': b'aa', '/b.txt': b'bbb'}
    files = (Remote(f'{server.url}/a.txt', 2, sha(b'aa')), Remote(f'{server.url}/b.txt', 3))
    entry = datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free', citation='none', homepage='https://example.org',
        returns='str', loader=lambda folder: '', files=files, layouts=(('a.txt', 'b.txt'),)))
    assert entry.size == 5 and entry.urls[1].endswith('b.txt') and entry.checksum == (sha(b'aa'), None)
    where = datasets.download('toy', progress=False)
    assert (where / 'a.txt').read_bytes() == b'aa' and (where / 'b.txt').read_bytes() == b'bbb'


def test_a_slow_server_is_waited_for(server, home, monkeypatch):
    toy(server, checksum=sha(GOOD))
    server.plan = ['slow']  # a second in all, more than STALL_TIMEOUT, but never silent for so long
    placed(home)
    assert len(server.asked) == 1


def test_progress_is_a_text_bar_and_can_be_off(server, home, capsys):
    toy(server, checksum=sha(GOOD))
    datasets.download('toy')
    out = capsys.readouterr()
    assert 'toy' in out.err and '100%' in out.err and not out.out


def test_silent_without_progress(server, home, capsys):
    toy(server, checksum=sha(GOOD))
    placed(home)
    assert capsys.readouterr() == ('', '')


# ---- broken lines ----

@pytest.mark.parametrize('etag, date', [('"one"', None), (None, 'Wed, 21 Oct 2015 07:28:00 GMT'), ('W/"weak"', 'Wed, 21 Oct 2015 07:28:00 GMT')])
def test_cut_half_way_goes_on_from_there(server, home, etag, date):
    server.etag, server.date, server.plan = etag, date, ['cut']
    toy(server)
    placed(home)
    first, second = server.asked
    start = int(second['range'].removeprefix('bytes=').rstrip('-'))
    assert first['range'] is None and start > 0
    assert second['if_range'] == (date if etag is None or etag.startswith('W/') else etag)
    assert server.sent < 2 * len(GOOD)
    assert server.sent == len(GOOD) // 2 + len(GOOD) - start


def test_cut_again_and_again_keeps_what_came_for_the_next_call(server, home):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut'] * fetch.TRIES
    refused(home, 'cut', f'{fetch.TRIES} tries', 'kept', 'goes on from where it stopped', 'https://example.org/toy')
    [part] = parts(home)
    kept = part.stat().st_size
    assert 0 < kept < len(GOOD) and part.read_bytes() == GOOD[:kept]
    placed(home)
    assert server.asked[-1]['range'] == f'bytes={kept}-' and len(server.asked) == fetch.TRIES + 1


def test_a_server_without_ranges_starts_anew(server, home):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut', 'no range']
    placed(home)
    assert server.asked[1]['range'] and server.sent == len(GOOD) // 2 + len(GOOD)


def test_a_file_that_changed_meanwhile_starts_anew(server, home):
    toy(server, tarred(('toy/a.txt', b'old'), ('toy/noise.bin', NOISE[::-1])))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    server.etag, server.bodies['/toy.tgz'] = '"two"', GOOD
    placed(home)
    assert server.asked[-1]['if_range'] == '"one"'


def test_a_changed_file_behind_a_careless_server_is_noticed_by_its_size(server, home):
    toy(server, tarred(('toy/a.txt', b'old'), ('toy/noise.bin', NOISE[::-1]), ('toy/more.bin', NOISE[:1000])))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    server.bodies['/toy.tgz'], server.default = GOOD, 'careless'  # answers a Range whatever If-Range says
    placed(home)


def test_without_etag_date_and_checksum_nothing_is_patched_together(server, home):
    toy(server)
    server.etag, server.plan = None, ['cut']
    placed(home)
    assert [a['range'] for a in server.asked] == [None, None]


def test_a_part_longer_than_the_file_starts_anew(server, home):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    with open(parts(home)[0], 'ab') as f: f.write(GOOD)
    placed(home)


def test_a_patchwork_that_fails_its_check_is_brought_once_more(server, home):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    [part] = parts(home)
    part.write_bytes(b'?' + part.read_bytes()[1:])
    placed(home)
    assert server.asked[-1]['range'] is None


def test_a_stalled_line_is_given_up_and_gone_on_with(server, home):
    toy(server, checksum=sha(GOOD))
    server.plan = ['stall']
    start = time.perf_counter()
    placed(home)
    assert time.perf_counter() - start < 5 and server.asked[1]['range']


def test_a_line_that_always_stalls(server, home):
    toy(server)
    server.default = 'stall'
    refused(home, 'sent nothing more', 'check the network')


def test_trouble_of_the_server_is_waited_out(server, home):
    toy(server)
    server.plan = [500, 503]
    placed(home)


@pytest.mark.parametrize('code, words, asked', [(404, ('no longer at', 'newer lessonkit'), 1), (403, ('refuses',), 1), (500, ('trouble', '500'), fetch.TRIES)])
def test_errors_of_the_server(server, home, code, words, asked):
    toy(server)
    server.default = code
    refused(home, *words, 'lessonkit download toy --from')
    assert len(server.asked) == asked and not parts(home)


def test_no_network(server, home):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    toy(server, url=f'http://127.0.0.1:{port}/toy.tgz')
    refused(home, 'no connection to 127.0.0.1', 'check the network', 'lessonkit download toy --from')


# ---- wrong bytes ----

def test_a_corrupted_byte(server, home):
    toy(server, GOOD[:9000] + bytes([GOOD[9000] ^ 1]) + GOOD[9001:], size=len(GOOD), checksum=sha(GOOD))
    refused(home, 'checksum', 'damaged', 'deleted')
    assert not parts(home)
    server.bodies['/toy.tgz'] = GOOD
    placed(home)


def test_md5_is_understood(server, home):
    toy(server, checksum=f'md5:{hashlib.md5(GOOD).hexdigest()}')
    placed(home)


@pytest.mark.parametrize('mode', ['ok', 'no length'])
@pytest.mark.parametrize('change', [-1000, 1000])
def test_a_wrong_size(server, home, mode, change):
    toy(server, GOOD, size=len(GOOD) + change)
    server.default = mode
    refused(home, f'{len(GOOD) + change:,}', 'changed')
    assert not parts(home)
    if mode == 'ok': assert len(server.asked) == 1


def test_a_body_that_does_not_end_is_given_up(server, home):
    toy(server, bytes(60_000_000), size=1000)
    server.default = 'no length'
    refused(home, '1,000')
    assert server.sent < 30_000_000


def test_a_body_that_ends_early_without_an_error(server, home, monkeypatch):
    honest, calls = fetch._chunks, []
    def quiet(response):
        calls.append(1)
        yield from honest(response) if len(calls) > 1 else [next(honest(response))]
    monkeypatch.setattr(fetch, '_chunks', quiet)
    toy(server)
    placed(home)
    assert server.asked[1]['range'] == f'bytes={fetch.CHUNK}-'


def test_the_bytes_are_asked_for_as_they_are(server, home):
    toy(server)
    placed(home)
    assert server.asked[0]['encoding'] == 'identity'  # a compressed answer would spoil size, checksum and resuming


def test_a_server_that_names_no_length(server, home):
    toy(server, size=len(GOOD))
    server.default = 'no length'
    placed(home)


def test_a_page_instead_of_an_archive(server, home):
    toy(server, b'<html>Please sign in to the network</html>')
    refused(home, 'no archive')
    assert not parts(home) and not (home / 'checksums.json').exists()


def test_an_archive_that_ends_too_early(server, home):
    toy(server, GOOD[:len(GOOD) // 2])
    refused(home, 'cannot be read to its end')
    assert not parts(home)


def test_another_layout(server, home):
    toy(server, tarred(('other/b.txt', b'b')))
    refused(home, 'not laid out', 'other')
    assert not parts(home)


def test_the_first_checksum_is_recorded_said_and_held_to(server, home, capsys):
    toy(server)
    placed(home)
    said = capsys.readouterr().out
    assert 'no checksum is published' in said and sha(GOOD)[:19] in said and said.count('\n') == 1
    assert fetch.recorded(home)[f'{server.url}/toy.tgz'] == {'checksum': sha(GOOD), 'size': len(GOOD)}

    for p in sorted((home / 'toy').rglob('*'), reverse=True): p.rmdir() if p.is_dir() else p.unlink()
    (home / 'toy').rmdir()
    server.bodies['/toy.tgz'] = tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE), ('toy/new.txt', b'new'))
    server.etag = '"two"'
    refused(home, 'first download', 'checksums.json')

    server.bodies['/toy.tgz'] = GOOD
    placed(home)
    assert not capsys.readouterr().out


def test_a_damaged_record_says_so(server, home):
    toy(server)
    home.mkdir()
    (home / 'checksums.json').write_text('{', encoding='utf-8')
    refused(home, 'checksums.json', 'delete it')


# ---- the disk ----

class FullFile(io.FileIO):
    "A file on a disk that has room for 100,000 bytes."
    def write(self, data):
        if self.tell() + len(data) > 100_000: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_full_disk_while_downloading(server, home, monkeypatch):
    toy(server, checksum=sha(GOOD))
    with monkeypatch.context() as m:
        m.setattr(fetch, 'open', lambda file, mode: FullFile(file, mode.replace('b', '')) if mode in ('ab', 'wb') else open(file, mode), raising=False)
        refused(home, 'disk is full', 'make room', 'LESSONKIT_DATA')
    [part] = parts(home)
    kept = part.stat().st_size
    assert 0 < kept <= 100_000
    placed(home)
    assert server.asked[-1]['range'] == f'bytes={kept}-'


def test_a_full_disk_while_unpacking(server, home, monkeypatch):
    toy(server, checksum=sha(GOOD))
    def full(*args, **kw): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with monkeypatch.context() as m:
        m.setattr(tarfile, 'copyfileobj', full)
        refused(home, 'disk is full', 'make room')
    placed(home)
    assert len(server.asked) == 1  # what had arrived whole was not asked for again


def test_an_unwritable_folder(server, tmp_path, home, monkeypatch):
    toy(server)
    (tmp_path / 'file').write_text('not a folder', encoding='utf-8')
    monkeypatch.setenv('LESSONKIT_DATA', str(tmp_path / 'file' / 'data'))
    refused(tmp_path / 'file' / 'data', 'cannot be written to', 'LESSONKIT_DATA')
    assert not server.asked
    assert datasets.available().loc['toy', 'source'] == 'stand-in'


def test_a_folder_without_the_right_to_write(server, home, monkeypatch):
    toy(server)
    def no(self, *args, **kw): raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
    monkeypatch.setattr(Path, 'mkdir', no)
    refused(home, 'cannot be written to', str(home), 'LESSONKIT_DATA')


def test_a_foreign_folder_in_the_way_is_left_alone(server, home):
    toy(server)
    (home / 'toy').mkdir(parents=True)
    (home / 'toy' / 'thesis.txt').write_text('years of work', encoding='utf-8')
    with pytest.raises(DataError, match='in the way'): datasets.download('toy', progress=False)
    with pytest.raises(DataError, match='does not hold toy'): datasets.load('toy')
    assert (home / 'toy' / 'thesis.txt').exists() and not server.asked
    assert datasets.available().loc['toy', 'source'] == 'unusable'
    clean(home)


def test_an_empty_folder_is_no_obstacle(server, home):
    toy(server)
    (home / 'toy').mkdir(parents=True)
    placed(home)


# ---- archives that climb out ----

def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def special(kind):
    info = tarfile.TarInfo('toy/device')
    info.type = kind
    return info


def zip_link():
    info = zipfile.ZipInfo('toy/out')
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


FINE = ('toy/a.txt', b'a')
CLIMBERS = {
    'tar, two dots': ('toy.tgz', lambda out: tarred(FINE, ('../escaped.txt', b'x'))),
    'tar, dots in the middle': ('toy.tgz', lambda out: tarred(FINE, ('toy/../../escaped.txt', b'x'))),
    'tar, absolute': ('toy.tgz', lambda out: tarred(FINE, (str(out), b'x'))),
    'tar, a drive': ('toy.tgz', lambda out: tarred(FINE, ('C:/escaped.txt', b'x'))),
    'tar, symlink out': ('toy.tgz', lambda out: tarred(FINE, link('toy/up', '../../..', tarfile.SYMTYPE), ('toy/up/escaped.txt', b'x'))),
    'tar, absolute symlink': ('toy.tgz', lambda out: tarred(FINE, link('toy/up', str(out.parent), tarfile.SYMTYPE), ('toy/up/escaped.txt', b'x'))),
    'tar, hard link': ('toy.tgz', lambda out: tarred(FINE, link('toy/b', '../../secret.txt', tarfile.LNKTYPE), ('toy/b', b'x'))),
    'tar, device': ('toy.tgz', lambda out: tarred(FINE, special(tarfile.CHRTYPE))),
    'tar, pipe': ('toy.tgz', lambda out: tarred(FINE, special(tarfile.FIFOTYPE))),
    'zip, two dots': ('toy.zip', lambda out: zipped(FINE, ('../escaped.txt', b'x'))),
    'zip, backslashes': ('toy.zip', lambda out: zipped(FINE, ('..\\escaped.txt', b'x'))),
    'zip, absolute': ('toy.zip', lambda out: zipped(FINE, (str(out), b'x'))),
    'zip, symlink': ('toy.zip', lambda out: zipped(FINE, (zip_link(), '../..'))),
}


@pytest.mark.parametrize('case', CLIMBERS)
def test_an_archive_that_climbs_out(server, home, tmp_path, case):
    file, make = CLIMBERS[case]
    (tmp_path / 'secret.txt').write_text('secret', encoding='utf-8')
    toy(server, make(tmp_path / 'escaped.txt'), file)
    refused(home, 'Nothing of it was kept', 'Report')
    assert not list(tmp_path.rglob('*escaped*')) and (tmp_path / 'secret.txt').read_text(encoding='utf-8') == 'secret'
    assert not parts(home)


# ---- several at once, and sudden ends ----

CHILD = '''
import sys
from lessonkit.course import datasets, fetch
from lessonkit.course.datasets import Entry, Remote
datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free', citation='none', homepage='https://example.org',
    returns='str', loader=lambda folder: '', files=(Remote(sys.argv[1]),), layouts=(('toy/a.txt',),)))
print('ready', flush=True)
print(datasets.download('toy', progress=False))
'''


def child(server):
    return subprocess.Popen([sys.executable, '-c', CHILD, f'{server.url}/toy.tgz'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_yield_one_download(server, home):
    toy(server)
    server.default = 'slow'
    two = [child(server) for _ in range(2)]
    answers = [p.communicate(timeout=30) for p in two]
    for p, (out, err) in zip(two, answers):
        assert p.returncode == 0, err
        assert out.splitlines()[-1] == str(home / 'toy')
    assert len(server.asked) == 1
    assert sum('another process is at work' in out for out, _ in answers) == 1
    placed(home)


def test_a_killed_download_is_gone_on_with(server, home):
    toy(server)
    server.plan = ['slow']
    p = child(server)
    try:
        until = time.monotonic() + 20
        while not (home.is_dir() and any(f.stat().st_size >= 1 << 16 for f in parts(home))):
            assert time.monotonic() < until and p.poll() is None
            time.sleep(.01)
    finally:
        p.kill()
        p.communicate()
    assert not (home / 'toy').exists()
    [part] = parts(home)
    kept = part.stat().st_size
    placed(home)  # neither the dead process's lock nor its files are in the way
    assert kept and server.asked[-1]['range'] == f'bytes={kept}-'


def test_a_process_killed_while_unpacking_leaves_nothing_in_the_way(server, home):
    toy(server)
    (home / '.toy.unpacking' / 'toy').mkdir(parents=True)
    (home / '.toy.unpacking' / 'toy' / 'half.txt').write_text('half', encoding='utf-8')
    (home / '.toy.lock').touch()
    placed(home)
    assert not (home / 'toy' / 'toy' / 'half.txt').exists()


@pytest.mark.parametrize('where', ['_chunks', 'unpack'])
def test_an_interrupted_download_leaves_nothing_half_done(server, home, monkeypatch, where):
    toy(server, checksum=sha(GOOD))
    honest = getattr(fetch, where)
    def stop(*args):
        if where == '_chunks': yield next(honest(*args))
        raise KeyboardInterrupt
    def stop_now(*args):
        honest(*args)
        raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr(fetch, where, stop if where == '_chunks' else stop_now)
        with pytest.raises(KeyboardInterrupt): datasets.download('toy', progress=False)
    assert not (home / 'toy').exists() and len(parts(home)) == 1
    clean(home)
    placed(home)
    assert server.sent < 2 * len(GOOD) or where == '_chunks'


def test_threads_take_turns(tmp_path):
    inside, most = 0, 0
    def work():
        nonlocal inside, most
        with fetch.lock(tmp_path / '.x.lock'):
            inside += 1
            most = max(most, inside)
            time.sleep(.02)
            inside -= 1
    threads = [threading.Thread(target=work) for _ in range(5)]
    for t in threads: t.start()
    for t in threads: t.join(10)
    assert most == 1 and not list(tmp_path.iterdir())


def test_a_lock_file_removed_while_one_waits_for_it_is_not_taken_for_the_lock(tmp_path, monkeypatch):
    path, honest = tmp_path / '.x.lock', fetch._try_lock
    first = fetch.lock(path)
    first.__enter__()
    leave = [lambda: first.__exit__(None, None, None)]
    def after_the_first_left(f):
        if leave: leave.pop()()
        return honest(f)
    monkeypatch.setattr(fetch, '_try_lock', after_the_first_left)
    with fetch.lock(path): assert path.exists()


# ---- by hand ----

def manual():
    return datasets.register(Entry(name='toy', title='Toy', edition='first', route='manual', terms='ask first', citation='none', homepage='https://example.org/toy',
        returns='str', loader=lambda folder: 'stand-in' if folder is None else 'real', layouts=(('toy/a.txt',), ('a.txt',)), steps='1. Sign in.\n2. Press the button.'))


def test_the_manual_route_prints_its_steps(home, capsys):
    manual()
    message = refused(home, 'lessonkit download toy --from')
    assert 'sign in' in message
    said = capsys.readouterr().out
    assert '1. Sign in.' in said and 'ask first' in said


@pytest.mark.parametrize('layout', ['toy/a.txt', 'a.txt'])
def test_install_takes_each_layout_and_copies(home, tmp_path, layout):
    manual()
    mine = tmp_path / 'mine'
    (mine / layout).parent.mkdir(parents=True)
    (mine / layout).write_text('x', encoding='utf-8')
    assert datasets.install('toy', str(mine)) == home / 'toy'
    assert datasets.load('toy') == 'real' and (mine / layout).exists() and datasets.download('toy') == home / 'toy'
    clean(home)


def test_install_takes_the_archive_too(home, tmp_path):
    manual()
    (tmp_path / 'toy.tgz').write_bytes(GOOD)
    datasets.install('toy', tmp_path / 'toy.tgz')
    assert datasets.load('toy') == 'real'


def test_install_refuses_what_is_not_the_set(home, tmp_path):
    manual()
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'b.txt').write_text('x', encoding='utf-8')
    with pytest.raises(DataError, match='not laid out') as e: datasets.install('toy', tmp_path / 'mine')
    assert 'b.txt' in str(e.value) and 'toy/a.txt' in str(e.value)
    with pytest.raises(DataError, match='There is no'): datasets.install('toy', tmp_path / 'nowhere')
    assert not (home / 'toy').exists()
    clean(home)


def test_embedded_needs_no_download(home):
    for f in (datasets.download, lambda name: datasets.install(name, '.')):
        with pytest.raises(DataError, match='part of Python'): f('topics')


# ---- load ----

def test_names(home):
    for f in (datasets.load, datasets.download, lambda n: datasets.install(n, '.')):
        with pytest.raises(UnknownData) as e: f('imbd')
        assert "Did you mean 'imdb'?" in str(e.value) and all(n in str(e.value) for n in ('nietzsche', 'topics', 'wikitext-2'))
    assert issubclass(UnknownData, DataError) and issubclass(UnknownData, ValueError)


def test_bad_options_are_named(home):
    with pytest.raises(TypeError, match="no option 'split'; it has: none"): datasets.load('nietzsche', split='train')
    with pytest.raises(TypeError, match="no option 'spilt'; it has: split, labels"): datasets.load('imdb', spilt='train')
    with pytest.raises(ValueError, match="'train', 'test', 'unsup', 'all'; 'valid' was given"): datasets.load('imdb', split='valid')
    with pytest.raises(ValueError, match="'train', 'valid'; 'test' was given"): datasets.load('wikitext-2', split='test', sample=True)


def test_a_bad_entry_is_refused():
    with pytest.raises(ValueError, match='route'): Entry('x', *'abcdefg', loader=str)
    good = datasets.ENTRIES['topics']
    with pytest.raises(ValueError, match='name'): Entry('../x', good.title, '', 'url', '', '', '', '', loader=str)


@pytest.mark.parametrize('name', ['nietzsche', 'imdb', 'wikitext-2'])
def test_the_stand_in_says_so_in_one_line(home, capsys, name):
    stand_in = datasets.load(name)
    said = capsys.readouterr().out
    assert said.count('\n') == 1 and 'stand-in' in said and f'lessonkit download {name}' in said
    assert datasets.load(name, sample=True) == stand_in and capsys.readouterr().out == ''
    assert not home.exists()  # asking for a set makes no folder, and downloads nothing


def test_topics(home, capsys):
    text = datasets.load('topics')
    assert 450_000 <= len(text) <= 540_000 and capsys.readouterr().out == ''
    assert text == datasets.load('nietzsche', sample=True)


def test_the_labels_of_the_stand_in_follow_their_rule():
    for split in ('train', 'test'):
        texts, y = datasets.load('imdb', split=split, labels=True, sample=True)
        assert y.dtype == np.int64 and y.shape == (len(texts),)
        assert y.tolist() == ['statement' in t for t in texts] and .3 < y.mean() < .7
    texts, y = datasets.load('imdb', split='unsup', labels=True, sample=True)
    assert (y == -1).all() and y.dtype == np.int64
    every = datasets.load('imdb', split='all', sample=True)
    assert len(every) == len(set(every)) and all(t in datasets.load('topics') for t in every)


def test_the_labels_of_the_stand_in_can_be_learned():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.tree import DecisionTreeClassifier
    (train, y), (test, y_test) = (datasets.load('imdb', split=s, labels=True, sample=True) for s in ('train', 'test'))
    words = CountVectorizer(binary=True).fit(train)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(words.transform(train), y)
    assert tree.score(words.transform(test), y_test) > .85


def lay_imdb(root):
    for sub, names in {'train/neg': ['10_1', '9_2'], 'train/pos': ['0_9'], 'test/neg': ['0_1'], 'test/pos': ['3_8', '1_7'], 'train/unsup': ['0_0', '2_0']}.items():
        (root / sub).mkdir(parents=True)
        for n in names: (root / sub / f'{n}.txt').write_text(f'{sub} {n} naïve<br />', encoding='utf-8')
    (root / 'train' / 'pos' / '._0_9.txt').write_bytes(b'\xff\xfe')  # left by a Mac's archiver


@pytest.mark.parametrize('root', ['aclImdb', '.'])
@pytest.mark.filterwarnings('ignore:imdb')
def test_imdb_in_each_layout(home, capsys, root):
    lay_imdb(home / 'imdb' / root)
    texts, y = datasets.load('imdb', labels=True)
    assert texts == [f'train/{n} naïve<br />' for n in ('neg 9_2', 'neg 10_1', 'pos 0_9')]  # by number, not by name
    assert y.tolist() == [0, 0, 1] and y.dtype == np.int64
    assert datasets.load('imdb', split='test') == [f'test/{n} naïve<br />' for n in ('neg 0_1', 'pos 1_7', 'pos 3_8')]
    texts, y = datasets.load('imdb', split='all', labels=True)
    assert y.tolist() == [0, 0, 1, 0, 1, 1, -1, -1] and len(texts) == 8
    assert capsys.readouterr().out == ''
    assert datasets.load('imdb', sample=True) != datasets.load('imdb')


def test_imdb_in_part_warns(home):
    lay_imdb(home / 'imdb')
    with pytest.warns(UserWarning, match='3 reviews .* 25,000.*lessonkit download imdb'): datasets.load('imdb')


@pytest.mark.parametrize('train, valid', [('train.csv', 'valid.csv'), ('wikitext-2/train.csv', 'wikitext-2/test.csv'), ('train.csv', 'test.csv')])
def test_wikitext_in_each_layout(home, train, valid):
    for file, rows in {train: ['"\n = Ä = \n a ""b"" , c"', 'x' * 200_000], valid: ['v']}.items():
        path = home / 'wikitext-2' / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes('\n'.join(rows).encode() + b'\n')
    assert datasets.load('wikitext-2') == ['\n = Ä = \n a "b" , c', 'x' * 200_000]
    assert datasets.load('wikitext-2', split='valid') == ['v']


def test_nietzsche_is_read_byte_for_byte_as_utf8(home):
    (home / 'nietzsche').mkdir(parents=True)
    (home / 'nietzsche' / 'nietzsche.txt').write_bytes('æ\r\nx\n'.encode())
    assert datasets.load('nietzsche') == 'æ\r\nx\n'
    assert datasets.available().loc['nietzsche', 'source'] == 'real'


MNIST_FILES = tuple(remote.filename.removesuffix('.gz') for remote in images.MNIST['files'])


@pytest.fixture
def small_mnist(monkeypatch):
    "Files as MNIST's, in miniature: 7 + 4 pictures, of which 5, 2 and 4 are train, valid and test; name → content."
    rng, files = np.random.default_rng(0), {}
    for stem, n in (('train', 7), ('t10k', 4)):
        head = [bytes([0, 0, 8, d]) + b''.join(k.to_bytes(4, 'big') for k in (n, 28, 28)[:d]) for d in (3, 1)]
        files[f'{stem}-images-idx3-ubyte'] = head[0] + rng.integers(0, 256, n * 28 * 28, np.uint8).tobytes()
        files[f'{stem}-labels-idx1-ubyte'] = head[1] + bytes(range(n))
    assert tuple(files) == MNIST_FILES
    monkeypatch.setattr(images, '_CONTENT', {k: hashlib.sha256(v).hexdigest() for k, v in files.items()})
    monkeypatch.setattr(images, '_SPLITS', {'train': ('train', slice(0, 5), ...), 'valid': ('train', slice(5, 7), ...), 'test': ('t10k', slice(0, 4), ...)})
    return files


def read_small_mnist(files):
    "What `load` gives of `small_mnist` is what went in, split by split."
    for split, (stem, rows, _) in images._SPLITS.items():
        pictures, labels, names = datasets.load('mnist', split=split)
        assert pictures.tobytes() == files[f'{stem}-images-idx3-ubyte'][16:][rows.start * 784:rows.stop * 784]
        assert labels.tolist() == list(range(rows.start, rows.stop)) and names == list('0123456789')
        assert pictures.shape[1:] == (28, 28) and (pictures.dtype, labels.dtype) == (np.uint8, np.int64) and pictures.flags.writeable


@pytest.mark.parametrize('name', ['{}.gz', '{}', 'dots', 'MNIST/raw/{}'])
def test_mnist_in_each_layout(home, small_mnist, name):
    for stored, content in small_mnist.items():
        path = home / 'mnist' / (stored.replace('-idx', '.idx') if name == 'dots' else name.format(stored))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if path.suffix == '.gz' else content)
    read_small_mnist(small_mnist)


def test_mnist_is_downloaded_from_its_four_addresses(server, home, small_mnist):
    packed = {f'{k}.gz': gzip.compress(v, mtime=1) for k, v in small_mnist.items()}
    server.bodies |= {f'/{k}': v for k, v in packed.items()}
    files = tuple(Remote(f'{server.url}/{k}', len(v), f'md5:{hashlib.md5(v).hexdigest()}') for k, v in packed.items())
    datasets.register(replace(datasets.ENTRIES['mnist'], files=files))
    datasets.download('mnist', progress=False)
    assert sorted(a['path'] for a in server.asked) == sorted(server.bodies) and not parts(home)
    assert {p.name: p.read_bytes() for p in (home / 'mnist').iterdir()} == packed  # placed as they are
    read_small_mnist(small_mnist)


def test_mnist_packed_by_another_hand_is_the_same_mnist(home, small_mnist):
    (home / 'mnist').mkdir(parents=True)
    for i, (stored, content) in enumerate(small_mnist.items()):
        (home / 'mnist' / f'{stored}.gz').write_bytes(gzip.compress(content, compresslevel=1, mtime=i))
    read_small_mnist(small_mnist)


@pytest.mark.parametrize('spoil, words', [
    (lambda v: gzip.compress(v[:-1] + bytes([v[-1] ^ 1])), 'another checksum'),
    (lambda v: gzip.compress(v)[:-4], 'cannot be read'),
    (lambda v: v, 'cannot be read'),
    (lambda v: b'', 'another checksum'),
])
@pytest.mark.parametrize('which', ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte'])
def test_damaged_mnist_is_refused_in_words(home, small_mnist, which, spoil, words):
    (home / 'mnist').mkdir(parents=True)
    for stored, content in small_mnist.items():
        (home / 'mnist' / f'{stored}.gz').write_bytes(spoil(content) if stored == which else gzip.compress(content))
    with pytest.raises(DataError, match=words) as e: datasets.load('mnist')
    assert which in str(e.value) and 'lessonkit download mnist' in str(e.value)
    assert len(datasets.load('mnist', split='test')[0]) == 4  # whose files are whole


def test_mnist_stand_in_has_the_form_of_the_real_one(home):
    splits = [datasets.load('mnist', split=s, sample=True) for s in ('train', 'valid', 'test')]
    for pictures, labels, names in splits:
        assert pictures.shape == (len(labels), 28, 28) and (pictures.dtype, labels.dtype) == (np.uint8, np.int64)
        assert names == list('0123456789') and np.bincount(labels, minlength=10).min() >= 20
    assert len({p.tobytes() for pictures, _, _ in splits for p in pictures}) == sum(len(p) for p, _, _ in splits) == 1797
    with pytest.raises(ValueError, match="'train', 'valid', 'test'; 'all' was given"): datasets.load('mnist', split='all', sample=True)


def test_mnist_addresses():
    entry = datasets.ENTRIES['mnist']
    assert [u.rpartition('/')[2] for u in entry.urls] == [f'{n}.gz' for n in MNIST_FILES] and all(u.startswith('https://') for u in entry.urls)
    assert entry.size == 11_594_722 and all(c.startswith('md5:') and len(c) == 36 for c in entry.checksum)


TABLE_NAMES = ('titanic', 'ames', 'bulldozers', 'diamonds')


def lay_table(folder, name, layout=0, ending=''):
    "A stand-in written as the real files of that layout are, packed by the ending; what `load` should give of it."
    table = table_rules.draw(name, 300, seed=5)
    text = table.assign(**{c: table[c].dt.strftime('%m/%d/%Y %H:%M') for c in table.select_dtypes('datetime')})
    file, *others = tables.FILES[name][layout]
    folder.mkdir(parents=True)
    if others: text[['SalesID', 'SalePrice']].sample(frac=1, random_state=0).assign(Usage='PublicTest').to_csv(folder / (others[0] + ending), index=False)
    text.drop(columns='SalePrice' if others else []).to_csv(folder / (file + ending), sep='\t' if file.endswith('.txt') else ',', index=name == 'ames')
    return table


@pytest.mark.filterwarnings('ignore:.*300 rows')
@pytest.mark.parametrize('shelf', ['', 'tabular'])
@pytest.mark.parametrize('ending', ['', '.gz', '.xz', '.zip'])
@pytest.mark.parametrize('name, layout', [(n, i) for n in TABLE_NAMES for i in range(len(tables.FILES[n]))])
def test_tables_in_each_layout(home, capsys, name, layout, ending, shelf):
    drawn = lay_table(home / shelf / name, name, layout, ending)
    read = datasets.load(name)
    assert read.equals(drawn) and read.dtypes.equals(drawn.dtypes) and capsys.readouterr().out == ''
    assert datasets.available().loc[name, 'source'] == 'real' and datasets.download(name) == home / shelf / name
    assert not datasets.load(name, sample=True).equals(drawn)


@pytest.mark.filterwarnings('ignore:.*300 rows')
def test_column_names_written_in_other_ways(home):
    drawn = lay_table(home / 'ames', 'ames')
    [file] = (home / 'ames').iterdir()
    head, rest = file.read_text(encoding='utf-8').split('\n', 1)
    for write in (lambda c: c.replace(' ', ''), lambda c: re.sub('[ /]', '.', f'X{c}' if c[:1].isdigit() else c), str.lower):
        file.write_text('\t'.join(map(write, head.split('\t'))) + '\n' + rest, encoding='utf-8')
        assert datasets.load('ames').equals(drawn)


def test_a_table_in_part_warns_and_a_damaged_one_is_refused_in_words(home):
    lay_table(home / 'bulldozers', 'bulldozers')
    with pytest.warns(UserWarning, match='300 rows .* 11,573'): datasets.load('bulldozers')
    answers = home / 'bulldozers' / 'ValidSolution.csv'
    whole = answers.read_text(encoding='utf-8').splitlines(keepends=True)
    for content, words in {''.join(whole[:-3]): 'no SalePrice for 3 rows', 'a,b\n1,2\n': "lacks the column 'SalesID', 'SalePrice'", '': 'cannot be read'}.items():
        answers.write_text(content, encoding='utf-8')
        with pytest.raises(DataError, match=words): datasets.load('bulldozers')
    answers.unlink()
    (home / 'bulldozers' / 'ValidSolution.csv.zip').write_bytes(b'no zip at all')
    with pytest.raises(DataError, match='cannot be read'): datasets.load('bulldozers')


@pytest.mark.parametrize('name', ['titanic', 'bulldozers'])
def test_tables_behind_an_account_are_brought_by_hand(home, tmp_path, capsys, name):
    with pytest.raises(DataError, match=f'lessonkit download {name} --from'): datasets.download(name)
    said = capsys.readouterr().out
    assert 'Sign in' in said and all(file in said for file in tables.FILES[name][0])
    lay_table(tmp_path / 'mine', name, ending='.zip')
    with pytest.warns(UserWarning, match='300 rows'):
        datasets.install(name, tmp_path / 'mine')
        assert len(datasets.load(name)) == 300


@pytest.mark.parametrize('name', TABLE_NAMES)
def test_table_stand_ins(home, capsys, name):
    table, rule = datasets.load(name), table_rules.RULES[name]
    assert f'lessonkit download {name}' in capsys.readouterr().out and 300 <= len(table) <= 2000 and not home.exists()
    assert list(table) == list(table_rules.SCHEMAS[name]) and not table.columns.duplicated().any()
    assert {rule.target, *rule.matters, *rule.interaction, *(c for pair in rule.twins for c in pair)} <= set(table)
    assert set(rule.interaction) <= set(rule.matters) and not {twin for _, twin in rule.twins} & set(rule.matters)
    truth, y = table_rules.expected(name, table), table[rule.target]
    best = 1 - ((y - truth) ** 2).mean() / y.var()  # of a model that knows the rule
    assert best > (.25 if rule.noise is None else .9), best


def test_a_table_of_many_rows_costs_little_and_is_the_same_every_time():
    assert table_rules.draw('ames', 500, seed=3).equals(table_rules.draw('ames', 500, seed=3))
    assert len(table_rules.draw('diamonds', 50_000)) == 50_000


def test_available(home):
    table = datasets.available()
    assert not home.exists() and table.index.name == 'name' and {'nietzsche', 'imdb', 'wikitext-2', 'topics', 'mnist', *TABLE_NAMES} == set(table.index)
    assert table.loc['topics', 'source'] == 'embedded' and (table.drop('topics')['source'] == 'stand-in').all()
    assert table.loc['imdb', 'download_mb'] == 84.1 and (table['mb'] == 0).all()
    assert (table[['title', 'edition', 'terms', 'returns', 'route']] != '').all(axis=None)
    (home / 'nietzsche').mkdir(parents=True)
    (home / 'nietzsche' / 'nietzsche.txt').write_bytes(b'x' * 1_500_000)
    assert datasets.available().loc['nietzsche', ['source', 'mb']].tolist() == ['real', 1.5]


def test_where_the_sets_lie(monkeypatch, tmp_path):
    monkeypatch.setenv('LESSONKIT_DATA', str(tmp_path))
    assert datasets.data_home() == tmp_path
    monkeypatch.setenv('LESSONKIT_DATA', '')
    assert datasets.data_home().is_absolute() and 'lessonkit' in str(datasets.data_home())


def test_import_is_light():
    code = "import sys, lessonkit.course.datasets; print([m for m in ('torch', 'pandas', 'numpy', 'requests', 'pooch', 'tqdm') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'


# ---- the real sets, where they are ----

def real(name):
    there = bool(REAL) and os.path.isdir(os.path.join(REAL, name))
    return pytest.mark.skipif(not there, reason=f'the real {name} is not on this computer (LESSONKIT_DATA names no folder that holds it)')


@real('nietzsche')
def test_real_nietzsche():
    text = datasets.load('nietzsche')
    assert len(text) == 600_893 and len(set(text)) == 84
    [remote] = datasets.ENTRIES['nietzsche'].files
    body = Path(REAL, 'nietzsche', 'nietzsche.txt').read_bytes()
    assert (remote.size, remote.checksum) == (len(body), sha(body))


@real('imdb')
def test_real_imdb():
    texts, y = datasets.load('imdb', split='all', labels=True)
    assert [int((y == v).sum()) for v in (0, 1, -1)] == [25_000, 25_000, 50_000] and len(texts) == 100_000
    assert (y[:25_000] == np.repeat([0, 1], 12_500)).all()


@real('wikitext-2')
def test_real_wikitext():
    train, valid = datasets.load('wikitext-2'), datasets.load('wikitext-2', split='valid')
    assert (len(train), len(valid)) == (615, 47)
    assert sum(len(a.split()) for a in train) == 2_051_910 and train[0].startswith(' \n = 2013 – 14 York City F.C. season = \n')


@real('mnist')
def test_real_mnist():
    splits = [datasets.load('mnist', split=s) for s in ('train', 'valid', 'test')]
    assert [len(y) for _, y, _ in splits] == [50_000, 10_000, 10_000]
    assert splits[0][1][:5].tolist() == [5, 0, 4, 1, 9] and splits[2][1][:5].tolist() == [7, 2, 1, 0, 4]
    train, valid, test = (set(map(bytes, x.reshape(len(x), -1))) for x, _, _ in splits)
    assert not train & valid and not valid & test
    for remote in datasets.ENTRIES['mnist'].files:
        if (file := Path(REAL, 'mnist', remote.filename)).exists(): assert file.stat().st_size == remote.size


def real_table(name):
    there = bool(REAL) and any(tables.find_file(Path(REAL, shelf, name), f) for shelf in ('', 'tabular') for layout in tables.FILES[name] for f in layout[:1])
    return pytest.param(name, marks=pytest.mark.skipif(not there, reason=f'the real {name} is not on this computer (LESSONKIT_DATA names no folder that holds it)'))


@pytest.mark.parametrize('name', [real_table(name) for name in TABLE_NAMES])
def test_real_tables_have_the_form_of_their_stand_ins(name):
    table, drawn = datasets.load(name), datasets.load(name, sample=True)
    assert table.shape == (tables.ROWS[name], len(drawn.columns)) and list(table) == list(drawn)
    assert table.dtypes.equals(drawn.dtypes), [c for c in table if table[c].dtype != drawn[c].dtype]
    gaps, gaps_drawn = ({c for c in t if t[c].isna().any()} for t in (table, drawn))
    assert gaps == gaps_drawn, gaps ^ gaps_drawn
    assert all(type(a) is type(b) for c in gaps for a, b in [(table[c][table[c].isna()].iloc[0], drawn[c][drawn[c].isna()].iloc[0])])
    target = table_rules.RULES[name].target
    known = {'titanic': 342, 'diamonds': 212_135_217}  # survivors; dollars
    if name in known: assert table[target].sum() == known[name]
    if name == 'bulldozers': assert str(table['saledate'].min()) == '2012-01-01 00:00:00' and table['saledate'].dt.month.max() == 4
    if name == 'ames': assert (table['Mas Vnr Type'] == 'None').sum() > 1000 and table['SalePrice'].median() == 160_000


def test_a_real_run_takes_no_stand_in(tmp_path, monkeypatch):
    "What LESSONKIT_REAL=1 records must be of the real set; a stand-in asked for by name is another thing."
    monkeypatch.setenv('LESSONKIT_DATA', str(tmp_path))
    monkeypatch.setenv('LESSONKIT_REAL', '1')
    with pytest.raises(datasets.DataError, match='lessonkit download nietzsche'): datasets.load('nietzsche')
    assert len(datasets.load('nietzsche', sample=True)) > 400_000
