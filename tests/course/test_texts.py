"""The sets of texts: every layout they are met in, damaged files, and their stand-ins."""

from pathlib import Path

import numpy as np
import pytest

from lessonkit.course import datasets

from .served import REAL, real, sha


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
    for sub, names in {'train/neg': ['10_1', '9_2'], 'train/pos': ['0_9'], 'test/neg': ['0_1'],
        'test/pos': ['3_8', '1_7'], 'train/unsup': ['0_0', '2_0']}.items():
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


@pytest.mark.parametrize('train, valid',
    [('train.csv', 'valid.csv'), ('wikitext-2/train.csv', 'wikitext-2/test.csv'), ('train.csv', 'test.csv')])
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
    assert sum(len(a.split()) for a in train) == 2_051_910
    assert train[0].startswith(' \n = 2013 – 14 York City F.C. season = \n')
