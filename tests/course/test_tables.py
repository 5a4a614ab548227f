"""The sets of tables: every layout they are met in, damaged files, and stand-ins drawn from a known rule."""

import re
from pathlib import Path

import numpy as np
import pytest

from lessonkit.course import datasets, tables
from lessonkit.course.datasets import DataError
from lessonkit.course.sets import rossmann
from lessonkit.course.table_rules import RULES, draw, expected

from .served import REAL, real


FILES = {name: datasets.ENTRIES[name].layouts for name in RULES}  # each way a table is met
TABLE_NAMES = tuple(RULES)


def lay_table(folder, name, layout=0, ending=''):
    "A stand-in written as the real files of that layout are, packed by the ending; what `load` should give of it."
    table = draw(name, 300, seed=5)
    text = table.assign(**{c: table[c].dt.strftime('%m/%d/%Y %H:%M') for c in table.select_dtypes('datetime')})
    file, *others = FILES[name][layout]
    folder.mkdir(parents=True)
    if others:
        text[['SalesID', 'SalePrice']].sample(frac=1,
            random_state=0).assign(Usage='PublicTest').to_csv(folder / (others[0] + ending), index=False)
    text.drop(columns='SalePrice' if others else []).to_csv(folder / (file + ending),
        sep='\t' if file.endswith('.txt') else ',', index=name == 'ames')
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
    for write in (lambda c: c.replace(' ', ''), lambda c: re.sub('[ /]', '.', f'X{c}' if c[:1].isdigit() else c),
        str.lower):
        file.write_text('\t'.join(map(write, head.split('\t'))) + '\n' + rest, encoding='utf-8')
        assert datasets.load('ames').equals(drawn)


def test_a_table_in_part_warns_and_a_damaged_one_is_refused_in_words(home):
    lay_table(home / 'bulldozers', 'bulldozers')
    with pytest.warns(UserWarning, match='300 rows .* 11,573'): datasets.load('bulldozers')
    answers = home / 'bulldozers' / 'ValidSolution.csv'
    whole = answers.read_text(encoding='utf-8').splitlines(keepends=True)
    for content, words in {''.join(whole[:-3]): 'no SalePrice for 3 rows',
        'a,b\n1,2\n': "lacks the column 'SalesID', 'SalePrice'", '': 'cannot be read'}.items():
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
    there = bool(REAL) and any(tables.find_file(Path(REAL, shelf, name), f) for shelf in ('',
        'tabular') for layout in FILES[name] for f in layout[:1])
    return pytest.param(name,
        marks=pytest.mark.skipif(not there,
            reason=f'the real {name} is not on this computer (LESSONKIT_DATA names no folder that holds it)'))


@pytest.mark.parametrize('name', [real_table(name) for name in TABLE_NAMES])
def test_real_tables_have_the_form_of_their_stand_ins(name):
    table, drawn = datasets.load(name), datasets.load(name, sample=True)
    assert table.shape == (datasets.ENTRIES[name].loader.__globals__['ROWS'], len(drawn.columns))
    assert list(table) == list(drawn)
    assert table.dtypes.equals(drawn.dtypes), [c for c in table if table[c].dtype != drawn[c].dtype]
    gaps, gaps_drawn = ({c for c in t if t[c].isna().any()} for t in (table, drawn))
    assert gaps == gaps_drawn, gaps ^ gaps_drawn
    assert all(type(a) is type(b) for c in gaps for a,
        b in [(table[c][table[c].isna()].iloc[0], drawn[c][drawn[c].isna()].iloc[0])])
    target = RULES[name].target
    known = {'titanic': 342, 'diamonds': 212_135_217}  # survivors; dollars
    if name in known: assert table[target].sum() == known[name]
    if name == 'bulldozers':
        assert str(table['saledate'].min()) == '2012-01-01 00:00:00' and table['saledate'].dt.month.max() == 4
    if name == 'ames': assert (table['Mas Vnr Type'] == 'None').sum() > 1000 and table['SalePrice'].median() == 160_000


# ---- sets of several tables ----

def written(tables, folder, ending=''):
    folder.mkdir(parents=True)
    for name, table in tables.items(): table.to_csv(folder / f'{name}.csv{ending}', index=False)


@pytest.mark.filterwarnings('ignore:.* are expected')
@pytest.mark.parametrize('sub', ['', 'ml-latest-small'])
def test_movielens_in_each_layout(home, sub, capsys):
    ratings, movies = datasets.load('movielens', movies=True, sample=True)
    ratings, movies = ratings[:500], movies.assign(title=movies['title'] + ' "Ä", b')
    written({'ratings': ratings, 'movies': movies, 'links': movies}, home / 'movielens' / sub)
    again = datasets.load('movielens', movies=True)
    assert again[0].equals(ratings) and again[1].equals(movies) and datasets.load('movielens').equals(ratings)
    assert capsys.readouterr().out == ''


def test_movielens_of_no_known_release_warns_and_a_damaged_one_is_refused(home):
    ratings, movies = datasets.load('movielens', movies=True, sample=True)
    written({'ratings': ratings, 'movies': movies}, home / 'movielens')
    with pytest.warns(UserWarning, match='100,004 .October 2016. or 100,836'): datasets.load('movielens')
    (home / 'movielens' / 'ratings.csv').write_text('userId,movieId\n1,2\n', encoding='utf-8')
    with pytest.raises(DataError, match="lacks the column 'rating', 'timestamp'"): datasets.load('movielens')


def test_the_stand_in_of_movielens_is_drawn_from_its_truth():
    ratings, movies = datasets.load('movielens', movies=True, sample=True)
    truth = datasets.truth('movielens')
    left = ratings['rating'] - truth.expected(ratings)
    assert left.std() < 1.15 * truth.noise and ratings['rating'].std() > 2 * left.std()
    axis = dict(zip(truth.movie_ids, truth.movie_factors[:, 0]))
    mean = {kind: np.mean([axis[m] for m in movies['movieId'][movies['genres'].str.contains(kind)]])
        for kind in ('Drama', 'Comedy', 'Sci-Fi')}
    assert mean['Drama'] < -.8 < abs(mean['Comedy']) < .8 < mean['Sci-Fi']
    with pytest.raises(KeyError, match='movieId'): truth.expected(ratings.assign(movieId=-1))


@pytest.mark.filterwarnings('ignore:.* are expected')
@pytest.mark.parametrize('sub', ['', 'rossmann'])
@pytest.mark.parametrize('ending', ['', '.xz'])
def test_rossmann_in_each_layout(home, sub, ending, capsys):
    tables = datasets.load('rossmann', sample=True) | {}
    tables = {name: t.head(400) for name, t in tables.items()}
    written(tables, home / 'rossmann' / sub, ending)
    again = datasets.load('rossmann')
    assert list(again) == list(tables) == list(rossmann.COLUMNS) and capsys.readouterr().out == ''
    for name, t in again.items(): assert t.equals(tables[name]), name


def test_rossmann_in_part_warns_and_is_brought_by_hand(home, capsys):
    with pytest.raises(DataError, match='lessonkit download rossmann --from'): datasets.download('rossmann')
    said = capsys.readouterr().out
    assert all(f'{name}.csv' in said for name in rossmann.COLUMNS)
    written(datasets.load('rossmann', sample=True), home / 'rossmann')
    with pytest.warns(UserWarning, match='844,338 or 1,017,209'): datasets.load('rossmann')
    (home / 'rossmann' / 'weather.csv').unlink()
    with pytest.raises(DataError, match='does not hold rossmann'): datasets.load('rossmann')


def test_the_stand_in_of_rossmann_follows_its_rule_and_the_rule_can_be_learned():
    tables = datasets.load('rossmann', sample=True)
    truth, train = datasets.truth('rossmann'), tables['train']
    left = np.log(train['Sales'] / truth.expected(train, tables['store']))
    assert abs(left.mean()) < .01 and abs(left.std() / truth.noise - 1) < .05
    rest = train[train['Date'].dt.day > 3] # without paydays
    sums = rest.assign(y=np.log(rest['Sales'])).groupby(['DayOfWeek', 'Promo'])['y'].mean()
    promo = {day: sums[day, 1] - sums[day, 0] for day in (1, 6)}
    assert abs(promo[1] - truth.promo) < .02 and abs(promo[6] - truth.promo - truth.promo_saturday) < .02
    of = tables['store_states'].set_index('Store')['State']
    own = {s: truth.levels[s] - truth.states[of[s]][0] for s in of.index}
    assert .1 < np.std(list(own.values())) < .2 and set(of) <= set(truth.states) <= set(rossmann.PLACES)
    assert truth.states['SH'][0] > truth.states['BY'][0] and truth.states['SN'][1] > truth.states['NW'][1]
    with pytest.raises(KeyError, match='no store 99'): truth.expected(train.assign(Store=99), tables['store'])


@real('movielens')
def test_real_movielens():
    ratings, movies = datasets.load('movielens', movies=True)
    assert (len(ratings), ratings['userId'].nunique(), ratings['movieId'].nunique(), len(movies)) == (100_004, 671,
        9_066, 9_125)
    assert ratings['rating'].min() == .5 and ratings['rating'].max() == 5 and movies['title'][0] == 'Toy Story (1995)'


@real('rossmann')
def test_real_rossmann():
    tables, drawn = datasets.load('rossmann'), datasets.load('rossmann', sample=True)
    assert [len(tables[t]) for t in ('train', 'store', 'test', 'weather')] == [844_338, 1_115, 41_088, 15_840]
    for name, t in tables.items():
        gaps, gaps_drawn = ({c for c in x if x[c].isna().any()} for x in (t, drawn[name]))
        assert gaps == gaps_drawn, (name, gaps ^ gaps_drawn)
    assert set(tables['store_states']['State']) <= set(tables['state_names']['State'])
    assert set(rossmann.STATES) == set(tables['weather']['file'])
    assert dict(tables['state_names'].values) == rossmann.STATES
