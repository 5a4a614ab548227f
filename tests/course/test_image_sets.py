"""The sets of pictures: every layout they are met in, damaged files, and stand-ins with the form of the real ones."""

import gzip
import hashlib
import os
import pickle
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
    monkeypatch.setattr(mnist, '_SPLITS',
        {'train': ('train', slice(0, 5), ...), 'valid': ('train', slice(5, 7), ...),
            'test': ('t10k', slice(0, 4), ...)})
    return files


def read_small_mnist(files):
    "What `load` gives of `small_mnist` is what went in, split by split."
    for split, (stem, rows, _) in mnist._SPLITS.items():
        pictures, labels, names = datasets.load('mnist', split=split)
        assert pictures.tobytes() == files[f'{stem}-images-idx3-ubyte'][16:][rows.start * 784:rows.stop * 784]
        assert labels.tolist() == list(range(rows.start, rows.stop)) and names == list('0123456789')
        assert pictures.shape[1:] == (28, 28) and (pictures.dtype, labels.dtype) == (np.uint8, np.int64)
        assert pictures.flags.writeable


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
    assert len({p.tobytes() for pictures, _, _ in splits for p in pictures}) == sum(len(p) for p, _,
        _ in splits) == 1797
    with pytest.raises(ValueError, match="'train', 'valid', 'test'; 'all' was given"):
        datasets.load('mnist', split='all', sample=True)


def test_mnist_addresses():
    entry = datasets.ENTRIES['mnist']
    assert [u.rpartition('/')[2] for u in entry.urls] == [f'{n}.gz' for n in MNIST_FILES]
    assert all(u.startswith('https://') for u in entry.urls)
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


# ---- CIFAR-10 ----

@pytest.fixture
def small_cifar(monkeypatch):
    "Sixty pictures a class to train on, ten to test on, in the order of the files; split → (pictures, labels)."
    monkeypatch.setattr(cifar10, 'ROWS', {'train': 50, 'test': 10})
    rng = np.random.default_rng(0)
    smooth = lambda n: np.kron(rng.integers(0, 256, (n, 4, 4, 3), np.uint8), np.ones((1, 8, 8, 1), np.uint8))
    return {split: (smooth(n), rng.permutation(np.arange(n) % 10)) for split, n in cifar10.ROWS.items()}


def planes(images): return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def lay_batches(root, sets, kind, protocol=2):
    root.mkdir(parents=True)
    for split, (x, y) in sets.items():
        names = cifar10._BATCHES[split]
        for part, name in zip(np.array_split(np.arange(len(y)), len(names)), names):
            data, labels = planes(x[part]), y[part]
            if kind == 'python':
                held = {b'batch_label': b'one', b'labels': labels.tolist(), b'data': data,
                    b'filenames': [b'a.png'] * len(labels)}
                (root / name).write_bytes(pickle.dumps(held, protocol))
            else: (root / f'{name}.bin').write_bytes(np.column_stack([labels.astype(np.uint8), data]).tobytes())


def python2(data, labels):
    "A batch as Python 2's pickle wrote the official ones, byte by byte: strings, not bytes."
    def string(b): return b'U' + bytes([len(b)]) + b if len(b) < 256 else b'T' + len(b).to_bytes(4, 'little') + b
    array = (b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01K'
        + bytes([len(data)]) + b'M' + (3072).to_bytes(2, 'little')
        + b'\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89'
        + string(data.tobytes()) + b'tb')
    return b'\x80\x02}(' + string(b'data') + array + string(b'labels') + b'](' + b''.join(b'K' + bytes([v])
        for v in labels) + b'eu.'


@pytest.mark.parametrize('kind, root', [(k, r) for k in ('python', 'binary') for r in (cifar10._ROOTS[k], '.')])
def test_cifar_in_each_official_layout(home, small_cifar, kind, root, capsys):
    (home / 'cifar10').mkdir(parents=True)
    lay_batches(home / 'cifar10' / 'x', small_cifar, kind)
    if root == '.': [f.rename(home / 'cifar10' / f.name) for f in (home / 'cifar10' / 'x').iterdir()]
    else: (home / 'cifar10' / 'x').rename(home / 'cifar10' / root)
    for split, (x, y) in small_cifar.items():
        images, labels, names = datasets.load('cifar10', split=split)
        assert (images == x).all() and (labels == y).all() and (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert names[3] == 'cat'
        assert images.flags.writeable
    assert capsys.readouterr().out == ''


def test_cifar_as_python_2_wrote_it(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    (tmp_path / 'data_batch_1').write_bytes(python2(planes(x), [1, 9, 0]))
    images, labels = cifar10.read_batch(tmp_path / 'data_batch_1')
    assert (images == x).all() and labels.tolist() == [1, 9, 0]


def test_cifar_as_a_folder_of_jpegs(home, small_cifar):
    for split, (x, y) in small_cifar.items():
        for label, name in enumerate(cifar10.NAMES):
            (home / 'cifar10' / split / name).mkdir(parents=True)
            for i, pixels in enumerate(x[y == label]):
                Image.fromarray(pixels).save(home / 'cifar10' / split / name / f'{i:04}.jpg', quality=95)
    images, labels, names = datasets.load('cifar10')
    x, y = small_cifar['train']
    assert labels.tolist() == list(range(10)) * 5  # the classes in turn, each by its numbers
    for label in range(10): assert abs(images[labels == label].astype(int) - x[y == label]).mean() < 8
    (home / 'cifar10' / 'train' / 'cat' / '0002.jpg').write_bytes(b'')
    with pytest.raises(DataError, match='0002.jpg is empty'): datasets.load('cifar10')
    Image.new('RGB', (40, 32)).save(home / 'cifar10' / 'train' / 'cat' / '0002.jpg')
    with pytest.raises(DataError, match='40 × 32'): datasets.load('cifar10')
    (home / 'cifar10' / 'train' / 'cat' / '0002.jpg').unlink()
    with pytest.warns(UserWarning, match='49 pictures'): datasets.load('cifar10')


class Runs:
    "What a hostile pickle asks for."
    def __init__(self, f, *args): self.asked = f, args
    def __reduce__(self): return self.asked


@pytest.mark.parametrize('held', [
    lambda out: Runs(os.mkdir, out), lambda out: {b'data': Runs(os.mkdir, out), b'labels': [1]},
        lambda out: {b'labels': Runs(eval, f'__import__("os").mkdir({out!r})')},
    lambda out: Runs(getattr, 'a', 'upper'), lambda out: Path(out), lambda out: np.array([Runs(os.mkdir, out)], object),
    lambda out: {b'data': np.zeros((2, 3072)), b'labels': [0, 1]},
        lambda out: {b'data': np.zeros((2, 3071), np.uint8), b'labels': [0, 1]},
    lambda out: {b'data': np.zeros((2, 3072), np.uint8), b'labels': [0]},
        lambda out: {b'data': np.zeros((1, 3072), np.uint8), b'labels': [10]},
    lambda out: {b'data': np.zeros((3072, 2), np.uint8).T, b'labels': [0, 1]},
        lambda out: {b'data': b'x', b'labels': [0]}, lambda out: [], lambda out: None,
])
@pytest.mark.parametrize('protocol', [0, 2, 5])
def test_a_pickle_that_is_no_batch_is_refused_and_nothing_of_it_runs(tmp_path, held, protocol):
    out = str(tmp_path / 'ran')
    (tmp_path / 'batch').write_bytes(pickle.dumps(held(out), protocol))
    with pytest.raises(DataError, match='batch of CIFAR-10') as e: cifar10.read_batch(tmp_path / 'batch')
    assert not os.path.exists(out) and 'lessonkit download cifar10' in str(e.value)


def test_a_batch_with_any_byte_changed_is_read_or_refused_in_words(tmp_path):
    body, rng = pickle.dumps({b'data': np.zeros((1, 3072), np.uint8), b'labels': [3]}, 2), np.random.default_rng(0)
    places = [i for i in range(len(body)) if i < 200 or i > len(body) - 60]
    for i in places:
        damaged = bytearray(body)
        damaged[i] = rng.integers(256)
        (tmp_path / 'batch').write_bytes(damaged)
        try: images, labels = cifar10.read_batch(tmp_path / 'batch')
        except DataError: continue
        assert images.shape == (1, 32, 32, 3) and images.dtype == np.uint8 and 0 <= labels[0] <= 9


@pytest.mark.parametrize('content', [b'', b'x' * 3072, bytes([10]) + bytes(3072)])
def test_a_binary_batch_that_is_none(home, small_cifar, content):
    lay_batches(home / 'cifar10', small_cifar, 'binary')
    (home / 'cifar10' / 'data_batch_3.bin').write_bytes(content)
    with pytest.raises(DataError, match='data_batch_3.bin is no batch'): datasets.load('cifar10')


def test_cifar_in_part_warns(home, small_cifar, monkeypatch):
    lay_batches(home / 'cifar10', small_cifar, 'binary')
    monkeypatch.setattr(cifar10, 'ROWS', {'train': 50_000, 'test': 10_000})
    with pytest.warns(UserWarning, match='50 pictures .* 50,000'): datasets.load('cifar10')


def test_cifar_address():
    entry = datasets.ENTRIES['cifar10']
    assert entry.urls == ('https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz',)
    assert entry.checksum == ('md5:c58f30108f718f92721af3b95e74349a',)


def fit_and_score(net, train, test, epochs, lr):
    "Test accuracy of a net after some epochs."
    import torch
    from torch import nn
    (x, y), (x_test, y_test) = ((torch.tensor(a).permute(0, 3, 1, 2).float() / 128 - 1, torch.tensor(b)) for a,
        b in (train, test))
    opt = torch.optim.AdamW(net.parameters(), lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, epochs * (len(x) // 50))
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(50):
            if len(rows) < 50: continue
            opt.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            opt.step()
            sched.step()
    net.eval()
    with torch.no_grad(): return (net(x_test).argmax(1) == y_test).double().mean().item()


def test_a_convnet_learns_the_stand_in_of_cifar_and_a_linear_net_does_not():
    "Only shapes tell the class, colors do not; chance is .1."
    import torch
    from torch import nn
    torch.manual_seed(0)
    train, test = (datasets.load('cifar10', split=s, sample=True)[:2] for s in ('train', 'test'))
    assert fit_and_score(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), train, test, 8, .002) < .4
    torch.manual_seed(0)
    block = lambda i, o: (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))
    conv = nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 64), nn.Flatten(), nn.Linear(64 * 16, 10))
    assert fit_and_score(conv, train, test, 3, .01) > .7


def test_the_box_of_a_drawn_thing_holds_the_thing():
    "The truth names the class, and a box that is neither empty nor the whole picture."
    images, labels, _ = datasets.load('cifar10', sample=True)
    truth = datasets.truth('cifar10')
    area = (truth.x1 - truth.x0) * (truth.y1 - truth.y0) / 32 ** 2
    assert (truth.label == labels).all() and (truth.kind == np.array(cifar10.NAMES)[labels]).all()
    assert area.min() > .08 and area.max() <= 1 and area.mean() < .7


# ---- dogs and cats ----

def lay_pictures(root, names):
    for name, red in names.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (50, 40), (red, 0, 0)).save(root / name, lossless=True)


@pytest.mark.filterwarnings('ignore:dogscats')
@pytest.mark.parametrize('sub', ['', 'dogscats/'])
@pytest.mark.parametrize('ending', ['jpg', 'webp'])
def test_dogscats_in_folders(home, sub, ending):
    lay_pictures(home / 'dogscats',
        {f'{sub}{split}/{name}/{name[:3]}.{i}.{ending}': i * 10 for split in dogscats.ROWS for name in dogscats.NAMES
            for i in (2, 10)})
    for split in dogscats.ROWS:
        images, labels, names = datasets.load('dogscats', split=split, size=8)
        assert images.shape == (4, 8, 8, 3) and labels.tolist() == [0, 1, 0, 1] and names == ['cats', 'dogs']
        assert abs(images[:, 0, 0, 0].astype(int) - [20, 20, 100, 100]).max() < 4  # 2 before 10
    assert len(datasets.load('dogscats', limit=3)[0]) == 3


@pytest.mark.filterwarnings('ignore:dogscats')
@pytest.mark.parametrize('sub', ['', 'train/'])
def test_dogscats_as_kaggle_has_them(home, sub):
    lay_pictures(home / 'dogscats',
        {f'{sub}{kind}.{i}.jpg': i % 200 for kind in ('cat', 'dog') for i in (0, 3, 11_249, 11_250)})
    assert datasets.load('dogscats', size=8)[1].tolist() == [0, 1] * 3
    assert datasets.load('dogscats', split='valid', size=8)[1].tolist() == [0, 1]


def test_dogscats_in_part_or_damaged(home):
    lay_pictures(home / 'dogscats',
        {f'{split}/{name}/{i}.jpg': 9 for split in dogscats.ROWS for name in dogscats.NAMES for i in range(2)})
    with pytest.warns(UserWarning, match='4 pictures .* 22,500'): datasets.load('dogscats', size=8)
    (home / 'dogscats' / 'train' / 'cats' / '0.jpg').write_bytes(b'<html>')
    with pytest.warns(UserWarning, match='1 files are left out.*0.jpg, is a web page'):
        images, labels, _ = datasets.load('dogscats', size=8)
    assert labels.tolist() == [1, 0, 1] and len(images) == 3
    for wrong in ({'limit': 0}, {'limit': True}, {'size': 0}, {'size': 9999}, {'split': 'test'}):
        with pytest.raises(ValueError, match=next(iter(wrong))): datasets.load('dogscats', **wrong)
        with pytest.raises(ValueError, match=next(iter(wrong))): datasets.load('dogscats', sample=True, **wrong)


def test_dogscats_are_brought_by_hand(home, capsys):
    with pytest.raises(DataError, match='lessonkit download dogscats --from'): datasets.download('dogscats')
    assert 'train.zip' in capsys.readouterr().out


@real('cifar10')
def test_real_cifar10():
    images, labels, names = datasets.load('cifar10', split='test')
    assert images.shape == (10_000, 32, 32, 3) and np.bincount(labels).tolist() == [1000] * 10
    assert labels[:10].tolist() == list(range(10))


@real('dogscats')
def test_real_dogscats():
    images, labels, names = datasets.load('dogscats', split='valid')
    assert images.shape == (2500, 96, 96, 3) and np.bincount(labels).tolist() == [1250, 1250] and images.std() > 40
