"""The way in of a data set, against a server on this machine that misbehaves on order."""

import errno
import gzip
import hashlib
import io
import json
import os
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from lessonkit.course import archives, datasets, fetch
from lessonkit.course.datasets import DataError, Entry, Remote

from .served import GOOD, NOISE, clean, parts, placed, refused, sha, tarred, toy, zipped

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
    ('toy.tar', tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE),
        ('toy/z.zip', zipped(('in.txt', 'in'))), mode='w')),
])
def test_each_kind_of_archive(server, home, file, body):
    toy(server, body, file)
    placed(home)


def test_a_set_of_several_plain_files(server, home):
    server.bodies |= {'/a.txt': b'aa', '/b.txt': b'bbb'}
    files = (Remote(f'{server.url}/a.txt', 2, sha(b'aa')), Remote(f'{server.url}/b.txt', 3))
    entry = datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free',
        citation='none', homepage='https://example.org',
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

@pytest.mark.parametrize('etag, date',
    [('"one"', None), (None, 'Wed, 21 Oct 2015 07:28:00 GMT'), ('W/"weak"', 'Wed, 21 Oct 2015 07:28:00 GMT')])
def test_cut_half_way_goes_on_from_there(server, home, etag, date):
    server.etag = etag
    server.date = date
    server.plan = ['cut']
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


@pytest.mark.parametrize('code, words, asked',
    [(404, ('no longer at', 'newer lessonkit'), 1), (403, ('refuses',), 1), (500, ('trouble', '500'), fetch.TRIES)])
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
    server.bodies['/toy.tgz'] = tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE),
        ('toy/new.txt', b'new'))
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
        m.setattr(fetch, '_open_part', lambda part, go_on: FullFile(part, 'a' if go_on else 'w'))
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
    'tar, symlink out': ('toy.tgz',
        lambda out: tarred(FINE, link('toy/up', '../../..', tarfile.SYMTYPE), ('toy/up/escaped.txt', b'x'))),
    'tar, absolute symlink': ('toy.tgz',
        lambda out: tarred(FINE, link('toy/up', str(out.parent), tarfile.SYMTYPE), ('toy/up/escaped.txt', b'x'))),
    'tar, hard link': ('toy.tgz',
        lambda out: tarred(FINE, link('toy/b', '../../secret.txt', tarfile.LNKTYPE), ('toy/b', b'x'))),
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


# ---- what lies on this computer: certificates, proxies, locks ----

def closed_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def test_a_missing_file_of_certificates_is_named(server, home, monkeypatch, tmp_path):
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(tmp_path / 'no.pem'))
    toy(server, url='https://127.0.0.1:1/toy.tgz')
    message = refused(home, 'certificates', 'REQUESTS_CA_BUNDLE', str(tmp_path / 'no.pem'))
    assert 'data folder' not in message.splitlines()[0]


def test_a_dead_proxy_is_named_without_its_password(server, home, monkeypatch):
    for name in ('NO_PROXY', 'no_proxy'): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('http_proxy', f'http://me:secret@127.0.0.1:{(port := closed_port())}')
    toy(server)
    message = refused(home, f'the proxy http://127.0.0.1:{port}', 'HTTP_PROXY')
    assert 'secret' not in message and not server.asked


def test_a_lock_that_cannot_be_made_is_not_the_data_folders_fault(server, home, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('', encoding='utf-8')
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'file'))
    toy(server)
    message = refused(home, str(tmp_path / 'file'))
    assert 'data folder' not in message.splitlines()[0] and not server.asked


# ---- limits ----

@pytest.mark.parametrize('mode', ['ok', 'no length'])
def test_a_file_of_unknown_size_has_a_limit(server, home, monkeypatch, mode):
    monkeypatch.setattr(fetch, 'MAX_BYTES', 1_000_000)
    toy(server, bytes(60_000_000))
    server.default = mode
    refused(home, 'at most 1,000,000')
    assert server.sent < 30_000_000 and not parts(home)


def zeros(n):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('toy/a.txt', bytes(n))
    return out.getvalue()


@pytest.mark.parametrize('file, body', [
    ('toy.zip', zeros(3_000_000)), ('toy.tgz', tarred(('toy/a.txt', bytes(3_000_000)))),
        ('toy.tar.xz', tarred(('toy/a.txt', bytes(3_000_000)), mode='w:xz')),
    ('toy.tgz', tarred(*((f'toy/{i}', b'') for i in range(300)))),  # many names
    ('toy.tgz', gzip.compress(tarred(('toy/a.txt', b'a'), mode='w') + bytes(9_000_000))),  # behind the archive's end
    ('toy.tgz', tarred((f'toy/{"x" * 3_000_000}', b'a'))),  # a name of three megabytes
])
def test_an_archive_that_grows_beyond_measure(server, home, monkeypatch, file, body):
    monkeypatch.setattr(archives, 'ALWAYS', 1_000_000)
    monkeypatch.setattr(archives, 'ENTRIES', 250)
    toy(server, body, file)
    refused(home, 'would unpack to more than', 'Nothing of it was kept')
    assert not parts(home)


def test_what_shrinks_well_is_no_bomb(server, home):
    text = ' '.join(str(i % 100) for i in range(200_000)).encode()
    body = tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE), ('toy/b.txt', text * 3))
    toy(server, body)
    placed(home)


# ---- archives that are damaged, locked, or odd ----

def test_every_flipped_bit_of_a_tgz_is_noticed_before_its_checksum_is_recorded(server, home):
    body = tarred(('toy/a.txt', 'größe'.encode()), ('toy/noise.bin', NOISE[:3000]))
    def flips(i):
        damaged = bytearray(body)
        damaged[i // 8] ^= 1 << i % 8
        toy(server, bytes(damaged))
        server.etag = f'"{i}"'
        try: datasets.download('toy', progress=False)
        except DataError: return True
    ends = range(8 * (len(body) - 8), 8 * len(body), 5)
    inside = range(8 * 40, 8 * len(body), 8 * 199 + 3)
    assert all(flips(i) for i in (*ends, *inside)) and not (home / 'toy').exists()
    assert not (home / 'checksums.json').exists()


@pytest.mark.parametrize('cut', [1, 4, 8, 600])
@pytest.mark.parametrize('mode', ['w:gz', 'w:bz2', 'w:xz'])
def test_every_stream_is_read_to_its_end(tmp_path, mode, cut):
    (tmp_path / 'a').write_bytes(tarred(('a.txt', NOISE[:5000]), mode=mode)[:-cut])
    (tmp_path / 'out').mkdir()
    with pytest.raises(DataError, match='cannot be read to its end'): archives.unpack(tmp_path / 'a', tmp_path / 'out')


def test_a_damaged_header_in_a_plain_tar_is_not_taken_for_its_end(server, home):
    body = bytearray(tarred(('toy/a.txt', b'a'), ('toy/b.txt', b'b'), mode='w'))
    body[1024 + 10] ^= 1  # in the name of the second file
    toy(server, bytes(body), 'toy.tar')
    refused(home, 'cannot be read to its end')


def patched(body, offset, value):
    "The zip with a field changed in each header: at `offset` of a local one, two further in the list at the end."
    body = bytearray(body)
    for magic, at in ((b'PK\3\4', offset), (b'PK\1\2', offset + 2)):
        i = body.find(magic)
        while i >= 0:
            body[i + at] = value
            i = body.find(magic, i + 4)
    return bytes(body)


@pytest.mark.parametrize('offset, value, words', [(6, 1, 'encrypted'), (8, 99, 'cannot unpack')])
def test_a_zip_that_is_locked_or_packed_in_an_unknown_way(server, home, offset, value, words):
    toy(server, patched(zipped(('toy/a.txt', 'a')), offset, value), 'toy.zip')
    refused(home, words, '--from')


def test_one_name_for_a_file_and_a_folder(server, home):
    toy(server, tarred(('toy', b'a'), ('toy/a.txt', b'b')))
    message = refused(home, 'one name both as a file and as a folder')
    assert 'data folder' not in message


# ---- a shared data folder ----

HIDDEN = ('.toy.toy.tgz.part', '.toy.toy.tgz.part.json', '.toy.unpacking', 'checksums.json', '.checksums.json.new',
    '.toy.lock')


@pytest.mark.parametrize('name', HIDDEN)
@pytest.mark.parametrize('kind', ['link', 'link to a folder', 'second name'])
def test_nothing_is_written_through_a_link(server, home, tmp_path, name, kind):
    home.mkdir()
    theirs = tmp_path / 'theirs'
    if kind == 'link to a folder':
        theirs.mkdir()
        (theirs / 'thesis.txt').write_text('{}', encoding='utf-8')
        (home / name).symlink_to(theirs, target_is_directory=True)
    else:
        theirs.write_text('{}', encoding='utf-8')
        if kind == 'link': (home / name).symlink_to(theirs)
        else: os.link(theirs, home / name)
    toy(server)
    try: datasets.download('toy', progress=False)
    except DataError as e: assert '\n' in str(e)  # refused in words is well, too
    if kind == 'link to a folder':
        assert [(p.name, p.read_text(encoding='utf-8')) for p in theirs.iterdir()] == [('thesis.txt', '{}')]
    else: assert theirs.read_text(encoding='utf-8') == '{}'


def test_a_part_that_is_a_link_is_begun_anew(server, home, tmp_path):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    [part] = parts(home)
    part.rename(tmp_path / 'moved')
    part.symlink_to(tmp_path / 'moved')
    kept = (tmp_path / 'moved').read_bytes()
    placed(home)
    assert server.asked[-1]['range'] is None and (tmp_path / 'moved').read_bytes() == kept


@pytest.mark.parametrize('text', ['[]', '3', '{"a": 1}', '{"a": {"checksum": 3}}', '{"a": {}}', '[' * 100_000, '\xff'])
def test_a_record_of_another_shape_says_so(server, home, text):
    toy(server)
    home.mkdir()
    (home / 'checksums.json').write_bytes(text.encode('latin1'))
    refused(home, 'checksums.json', 'delete it')


@pytest.mark.parametrize('text', ['[]', '3', 'null', '{"url": 3, "validator": [1]}', '[' * 100_000, '\xff'])
def test_a_note_of_another_shape_is_written_anew(server, home, text):
    toy(server, checksum=sha(GOOD))
    server.plan = ['cut'] * fetch.TRIES
    refused(home)
    [part] = parts(home)
    fetch._note(part).write_bytes(text.encode('latin1'))
    placed(home)


@pytest.mark.parametrize('write', [str.upper, lambda c: c.split(':')[0] + ':' + c.split(':')[1].upper()])
def test_checksums_in_capitals_are_the_same(server, home, write):
    toy(server, checksum=write(sha(GOOD)))
    placed(home)


def test_a_recorded_checksum_in_capitals_is_the_same(server, home):
    toy(server)
    home.mkdir()
    (home / 'checksums.json').write_text(json.dumps({f'{server.url}/toy.tgz': {'checksum': sha(GOOD).upper()}}),
        encoding='utf-8')
    placed(home)


@pytest.mark.parametrize('checksum', ['abc', 'md5:abc', 'sha1:' + '0' * 40, 'sha256:' + 'g' * 64])
def test_what_is_no_checksum_is_refused_at_once(checksum):
    with pytest.raises(ValueError, match='checksum must be'): Remote('https://example.org/a', 1, checksum)


# ---- several at once, and sudden ends ----

CHILD = '''
import sys
from lessonkit.course import datasets, fetch
from lessonkit.course.datasets import Entry, Remote
datasets.register(Entry(name='toy', title='Toy', edition='first', route='url', terms='free', citation='none',
    homepage='https://example.org', returns='str', loader=lambda folder: '', files=(Remote(sys.argv[1]),),
    layouts=(('toy/a.txt',),)))
print('ready', flush=True)
print(datasets.download('toy', progress=False))
'''


def child(server):
    return subprocess.Popen([sys.executable, '-c', CHILD, f'{server.url}/toy.tgz'], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


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


def test_threads_take_turns(tmp_path, capsys):
    inside, most = 0, 0
    def work():
        nonlocal inside, most
        with fetch._turn('toy', tmp_path):
            inside += 1
            most = max(most, inside)
            time.sleep(.02)
            inside -= 1
    threads = [threading.Thread(target=work) for _ in range(5)]
    for t in threads: t.start()
    for t in threads: t.join(10)
    assert most == 1 and not list(tmp_path.iterdir())
    assert 1 <= capsys.readouterr().out.count('toy: another process is at work on it') <= 4


# ---- by hand ----

def manual():
    return datasets.register(Entry(name='toy', title='Toy', edition='first', route='manual', terms='ask first',
        citation='none', homepage='https://example.org/toy',
        returns='str', loader=lambda folder: 'stand-in' if folder is None else 'real',
            layouts=(('toy/a.txt',), ('a.txt',)), steps='1. Sign in.\n2. Press the button.'))


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


def test_install_looks_before_it_copies(home, tmp_path):
    manual()
    for sub in ('', 'a'):
        with pytest.raises(DataError, match='not laid out'): datasets.install('toy',
            tmp_path / sub if sub == '' else made(tmp_path / sub))
    assert not home.exists()


def made(folder):
    folder.mkdir(parents=True)
    return folder


def test_install_does_not_copy_the_data_folder_into_itself(home, tmp_path):
    manual()
    (tmp_path / 'a.txt').write_text('x', encoding='utf-8')
    with pytest.raises(DataError, match='holds the data folder'): datasets.install('toy', tmp_path)


@pytest.mark.parametrize('target, words',
    [('.', 'a link to a folder that it lies in'), ('nowhere', 'a link to nothing'), ('loop', 'a link to nothing')])
def test_links_without_an_end_are_refused_in_words(home, tmp_path, target, words):
    manual()
    mine = made(tmp_path / 'mine')
    (mine / 'a.txt').write_text('x', encoding='utf-8')
    (mine / 'loop').symlink_to(target)
    with pytest.raises(DataError, match=words) as e: datasets.install('toy', mine)
    assert 'loop' in str(e.value) and 'data folder' not in str(e.value) and not (home / 'toy').exists()
    clean(home)


def test_links_with_an_end_are_followed(home, tmp_path):
    manual()
    (made(tmp_path / 'elsewhere') / 'a.txt').write_text('x', encoding='utf-8')
    made(tmp_path / 'mine')
    (tmp_path / 'mine' / 'toy').symlink_to(tmp_path / 'elsewhere')
    datasets.install('toy', tmp_path / 'mine')
    assert not (home / 'toy' / 'toy').is_symlink()
    assert (home / 'toy' / 'toy' / 'a.txt').read_text(encoding='utf-8') == 'x'


def test_embedded_needs_no_download(home):
    for f in (datasets.download, lambda name: datasets.install(name, '.')):
        with pytest.raises(DataError, match='part of Python'): f('topics')


