"""`load`, `available` and the list of the sets, whatever lies in the data folder."""

import importlib
import inspect
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from lessonkit.course import datasets
from lessonkit.course.datasets import DataError, Entry, UnknownData

from .served import real
from .test_tables import TABLE_NAMES


def test_names(home):
    for f in (datasets.load, datasets.download, lambda n: datasets.install(n, '.')):
        with pytest.raises(UnknownData) as e: f('imbd')
        assert "Did you mean 'imdb'?" in str(e.value)
        assert all(n in str(e.value) for n in ('nietzsche', 'topics', 'wikitext-2'))
    assert issubclass(UnknownData, DataError) and issubclass(UnknownData, ValueError)


def test_bad_options_are_named(home):
    with pytest.raises(TypeError, match="no option 'split'; it has: none"): datasets.load('nietzsche', split='train')
    with pytest.raises(TypeError, match="no option 'spilt'; it has: split, labels"):
        datasets.load('imdb', spilt='train')
    with pytest.raises(ValueError, match="'train', 'test', 'unsup', 'all'; 'valid' was given"): datasets.load('imdb',
        split='valid')
    with pytest.raises(ValueError, match="'train', 'valid'; 'test' was given"):
        datasets.load('wikitext-2', split='test', sample=True)


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


def test_available(home):
    table = datasets.available()
    assert not home.exists() and table.index.name == 'name'
    assert list(table.index) == list(datasets.ENTRIES) and len(table) == len(datasets.SETS)
    assert {'topics', 'wikitext-2', 'mnist', 'movielens', 'rossmann', *TABLE_NAMES} <= set(table.index)
    assert {n: s for n, s in table['source'].items() if s != 'stand-in'} == {
        e.name: 'embedded' for e in datasets.ENTRIES.values() if e.route == 'embedded'}
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
    heavy = ('torch', 'pandas', 'numpy', 'requests', 'pooch', 'tqdm', 'PIL')
    code = f"import sys, lessonkit.course.datasets; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
        check=True).stdout.strip() == '[]'


def test_a_real_run_takes_no_stand_in(tmp_path, monkeypatch):
    "What LESSONKIT_REAL=1 records must be of the real set; a stand-in asked for by name is another thing."
    monkeypatch.setenv('LESSONKIT_DATA', str(tmp_path))
    monkeypatch.setenv('LESSONKIT_REAL', '1')
    with pytest.raises(datasets.DataError, match='lessonkit download nietzsche'): datasets.load('nietzsche')
    assert len(datasets.load('nietzsche', sample=True)) > 400_000


def test_each_set_is_one_module_with_an_entry():
    "A new set is one notebook and one line of the table."
    here = {f.stem for f in Path(datasets.__file__).with_name('sets').glob('*.py')} - {'__init__'}
    assert here == set(datasets.SETS)
    for module in datasets.SETS:
        entry = importlib.import_module(f'lessonkit.course.sets.{module}').ENTRY
        assert datasets.ENTRIES[entry.name] is entry and entry.name.replace('-', '') == module
        assert list(inspect.signature(entry.loader).parameters)[0] == 'folder'
        assert entry.route != 'manual' or '1. ' in entry.steps


def same_form(a, b):
    "The same types, columns, dtypes and keys, however many rows."
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for k in a: same_form(a[k], b[k])
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b): same_form(x, y)
    elif isinstance(a, list): assert {type(v) for v in a} == {type(v) for v in b}
    elif hasattr(a, 'dtypes'): assert list(a) == list(b) and a.dtypes.equals(b.dtypes), (a.dtypes, b.dtypes)
    elif hasattr(a, 'dtype'): assert a.dtype == b.dtype and a.shape[1:] == b.shape[1:]


OPTIONS = {'imdb': {'labels': True}, 'movielens': {'movies': True}, 'cifar10': {'split': 'test'},
    'dogscats': {'split': 'valid', 'limit': 20}}


@pytest.mark.parametrize('name', [pytest.param(n, marks=real(n)) for n in datasets.ENTRIES if n != 'topics'])
def test_real_sets_have_the_form_of_their_stand_ins(name):
    options = OPTIONS.get(name, {})
    same_form(datasets.load(name, **options), datasets.load(name, sample=True, **options))


@pytest.mark.parametrize('name', datasets.ENTRIES)
def test_a_stand_in_is_the_callers_own(name):
    "What a caller does to it reaches nobody else; the same call gives the same again."
    options = OPTIONS.get(name, {})
    def spoil(x):
        if isinstance(x, dict | tuple): [spoil(v) for v in (x.values() if isinstance(x, dict) else x)]
        elif isinstance(x, list): x.clear()
        elif hasattr(x, 'columns'): x[x.columns[0]] = 0
        elif hasattr(x, 'dtype'): x[:] = 0
    first = datasets.load(name, sample=True, **options)
    kept = deepcopy(first)
    spoil(first)
    again = datasets.load(name, sample=True, **options)
    same_form(again, kept)
    for a, b in zip(flat(again), flat(kept)): assert a.equals(b) if hasattr(a, 'equals') else np.array_equal(a, b)


def flat(x): return [v for part in (x.values() if isinstance(x, dict) else x) for v in flat(part)] if isinstance(x,
    dict | tuple) else [x]


def test_truth(home):
    assert datasets.truth('titanic').matters == ('Sex', 'Pclass', 'Age')
    assert datasets.truth('imdb')('a statement') == 1
    assert list(datasets.truth('cifar10', split='test')) == ['label', 'kind', 'x0', 'y0', 'x1', 'y1']
    with pytest.raises(DataError, match='not drawn from anything'): datasets.truth('mnist')
    with pytest.raises(TypeError, match="no option 'splt'; it has: split"): datasets.truth('cifar10', splt='test')
    with pytest.raises(UnknownData, match='movielens'): datasets.truth('movielenz')


def test_a_set_that_cannot_be_read_is_refused_in_words(home, monkeypatch):
    (home / 'nietzsche').mkdir(parents=True)
    (home / 'nietzsche' / 'nietzsche.txt').write_bytes(b'caf\xe9')
    with pytest.raises(DataError, match='not UTF-8 text: byte 3'): datasets.load('nietzsche')
    (home / 'nietzsche' / 'nietzsche.txt').unlink()
    (home / 'nietzsche' / 'nietzsche.txt').mkdir()
    with pytest.raises(DataError, match='nietzsche.txt cannot be read'): datasets.load('nietzsche')


def test_links_in_circles_and_to_nothing_are_no_obstacle(home):
    home.mkdir()
    (home / 'mnist').symlink_to(home / 'mnist')
    (home / 'imdb').symlink_to(home / 'nowhere')
    (home / 'ames').mkdir()
    (home / 'ames' / 'housing.csv').symlink_to(home / 'nowhere')
    table = datasets.available()
    assert table.loc[['mnist', 'imdb', 'ames'], 'source'].tolist() == ['stand-in', 'stand-in', 'unusable']
    for name in ('mnist', 'imdb'):
        assert len(datasets.load(name)) > 0
        with pytest.raises(DataError, match='in the way'): datasets.download(name, progress=False)
