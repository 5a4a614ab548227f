"""The sets of pictures: every layout they are met in, damaged files, and stand-ins with the form of the real ones."""

import gzip
import hashlib
import os
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lessonkit.course import datasets
from lessonkit.course.datasets import DataError, Remote
from lessonkit.course.sets import cifar10, dogscats, mnist

from .served import REAL, parts, real


MNIST_FILES = tuple(remote.filename.removesuffix('.gz') for remote in mnist.ENTRY.files)


@pytest.fixture
def small_mnist(monkeypatch):
    "Files as MNIST's, in miniature: 7 + 4 pictures, of which 5, 2 and 4 are train, valid and test; name → content."
    rng, files = np.random.default_rng(0), {}
    for stem, n in (('train', 7), ('t10k', 4)):
        head = [bytes([0, 0, 8, d]) + b''.join(k.to_bytes(4, 'big') for k in (n, 28, 28)[:d]) for d in (3, 1)]
        files[f'{stem}-images-idx3-ubyte'] = head[0] + rng.integers(0, 256, n * 28 * 28, np.uint8).tobytes()
        files[f'{stem}-labels-idx1-ubyte'] = head[1] + bytes(range(n))
    assert tuple(files) == MNIST_FILES
    monkeypatch.setattr(mnist, '_CONTENT', {k: hashlib.sha256(v).hexdigest() for k, v in files.items()})
    monkeypatch.setattr(mnist, '_SPLITS', {'train': ('train', slice(0, 5), ...), 'valid': ('train', slice(5, 7), ...), 'test': ('t10k', slice(0, 4), ...)})
    return files


def read_small_mnist(files):
    "What `load` gives of `small_mnist` is what went in, split by split."
    for split, (stem, rows, _) in mnist._SPLITS.items():
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


@real('mnist')
def test_real_mnist():
    splits = [datasets.load('mnist', split=s) for s in ('train', 'valid', 'test')]
    assert [len(y) for _, y, _ in splits] == [50_000, 10_000, 10_000]
    assert splits[0][1][:5].tolist() == [5, 0, 4, 1, 9] and splits[2][1][:5].tolist() == [7, 2, 1, 0, 4]
    train, valid, test = (set(map(bytes, x.reshape(len(x), -1))) for x, _, _ in splits)
    assert not train & valid and not valid & test
    for remote in datasets.ENTRIES['mnist'].files:
        if (file := Path(REAL, 'mnist', remote.filename)).exists(): assert file.stat().st_size == remote.size
