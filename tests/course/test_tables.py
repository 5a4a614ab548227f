"""The sets of tables: every layout they are met in, damaged files, and stand-ins drawn from a known rule."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from lessonkit.course import datasets, tables
from lessonkit.course.datasets import DataError
from lessonkit.course.sets import movielens, rossmann
from lessonkit.course.table_rules import RULES, draw, expected

from .served import REAL, real


FILES = {name: datasets.ENTRIES[name].layouts for name in RULES}  # each way a table is met
TABLE_NAMES = ('titanic', 'ames', 'bulldozers', 'diamonds')


def lay_table(folder, name, layout=0, ending=''):
    "A stand-in written as the real files of that layout are, packed by the ending; what `load` should give of it."
    table = draw(name, 300, seed=5)
    text = table.assign(**{c: table[c].dt.strftime('%m/%d/%Y %H:%M') for c in table.select_dtypes('datetime')})
    file, *others = FILES[name][layout]
    folder.mkdir(parents=True)
    if others: text[['SalesID', 'SalePrice']].sample(frac=1, random_state=0).assign(Usage='PublicTest').to_csv(folder / (others[0] + ending), index=False)
    text.drop(columns='SalePrice' if others else []).to_csv(folder / (file + ending), sep='\t' if file.endswith('.txt') else ',', index=name == 'ames')
    return table


@pytest.mark.filterwarnings('ignore:.*300 rows')
@pytest.mark.parametrize('shelf', ['', 'tabular'])
@pytest.mark.parametrize('ending', ['', '.gz', '.xz', '.zip'])
@pytest.mark.parametrize('name, layout', [(n, i) for n in TABLE_NAMES for i in range(len(FILES[n]))])
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
    assert 'Sign in' in said and all(file in said for file in FILES[name][0])
    lay_table(tmp_path / 'mine', name, ending='.zip')
    with pytest.warns(UserWarning, match='300 rows'):
        datasets.install(name, tmp_path / 'mine')
        assert len(datasets.load(name)) == 300


@pytest.mark.parametrize('name', TABLE_NAMES)
def test_table_stand_ins(home, capsys, name):
    table, rule = datasets.load(name), RULES[name]
    assert f'lessonkit download {name}' in capsys.readouterr().out and 300 <= len(table) <= 2000 and not home.exists()
    assert list(table) == [c.name for c in RULES[name].columns] and not table.columns.duplicated().any()
    assert {rule.target, *rule.matters, *rule.interaction, *(c for pair in rule.twins for c in pair)} <= set(table)
    assert set(rule.interaction) <= set(rule.matters) and not {twin for _, twin in rule.twins} & set(rule.matters)
    truth, y = expected(name, table), table[rule.target]
    best = 1 - ((y - truth) ** 2).mean() / y.var()  # of a model that knows the rule
    assert best > (.25 if rule.noise is None else .9), best


def test_a_table_of_many_rows_costs_little_and_is_the_same_every_time():
    assert draw('ames', 500, seed=3).equals(draw('ames', 500, seed=3))
    assert len(draw('diamonds', 50_000)) == 50_000


def real_table(name):
    there = bool(REAL) and any(tables.find_file(Path(REAL, shelf, name), f) for shelf in ('', 'tabular') for layout in FILES[name] for f in layout[:1])
    return pytest.param(name, marks=pytest.mark.skipif(not there, reason=f'the real {name} is not on this computer (LESSONKIT_DATA names no folder that holds it)'))


@pytest.mark.parametrize('name', [real_table(name) for name in TABLE_NAMES])
def test_real_tables_have_the_form_of_their_stand_ins(name):
    table, drawn = datasets.load(name), datasets.load(name, sample=True)
    assert table.shape == (datasets.ENTRIES[name].loader.__globals__['ROWS'], len(drawn.columns)) and list(table) == list(drawn)
    assert table.dtypes.equals(drawn.dtypes), [c for c in table if table[c].dtype != drawn[c].dtype]
    gaps, gaps_drawn = ({c for c in t if t[c].isna().any()} for t in (table, drawn))
    assert gaps == gaps_drawn, gaps ^ gaps_drawn
    assert all(type(a) is type(b) for c in gaps for a, b in [(table[c][table[c].isna()].iloc[0], drawn[c][drawn[c].isna()].iloc[0])])
    target = RULES[name].target
    known = {'titanic': 342, 'diamonds': 212_135_217}  # survivors; dollars
    if name in known: assert table[target].sum() == known[name]
    if name == 'bulldozers': assert str(table['saledate'].min()) == '2012-01-01 00:00:00' and table['saledate'].dt.month.max() == 4
    if name == 'ames': assert (table['Mas Vnr Type'] == 'None').sum() > 1000 and table['SalePrice'].median() == 160_000
