"""`tools/gpu.py pack`: collects what rows need into one folder, on a machine with lessonkit and the data sets."""
import importlib.util
import json
import lzma
import shutil
import tarfile
from pathlib import Path

import numpy as np

from .language import BOS, N_SPECIALS, UNK, Size, wilson
from .pictures import SETS

LIMIT = 56 * 2**20  # bytes that a package may have
PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")  # pure Python
NEEDS = {"smoke": (), "cifar-net": ("cifar10",), "cifar-ladder": ("cifar10",), "dogscats-net": ("dogscats",),
         "cuda-tests": ("python",), "nietzsche-lstm": ("nietzsche",), "imdb-forward": ("imdb",),
         "imdb-backward": ("imdb",), "rossmann-net": ("rossmann",), "rossmann-known": ("rossmann",)}


def weight(folder: Path) -> int:
    "Bytes of the files in a folder."
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def pictures(source: Path, out: Path, name: str):
    "The set's archive: copied where `source` has it, else made of its folder of pictures."
    archive = SETS[name][0]
    if found := sorted(source.rglob(archive)): return shutil.copyfile(found[0], out / archive)
    files = [p for split in ("train", SETS[name][1]) for p in sorted((source / name / split).glob("*/*.*"))]
    if not files: raise FileNotFoundError(f"neither {archive} nor {name}/train below {source}")
    with tarfile.open(out / "part", "w:xz") as tar:
        for p in files: tar.add(p, p.relative_to(source).as_posix())
    (out / "part").replace(out / archive)


def nietzsche(source: Path, out: Path):
    "nietzsche.npz: the text in lower case as numbers; symbols rarer than 3 in its training part are unknown."
    path = source / "nietzsche" / "nietzsche.txt"
    lines = path.read_text("utf-8").lower().splitlines(keepends=True)
    cut = len("".join(lines[: 7_999 if len(lines) == 9_935 else int(.8 * len(lines))]))  # the original's 493,747
    chars = np.array(list("".join(lines)))
    kinds, counts = np.unique(chars[:cut], return_counts=True)
    symbols = ["<unk>", "<pad>", *kinds[counts >= 3].tolist()]  # torchtext has both
    number = {c: i for i, c in enumerate(symbols)}
    text = np.array([number.get(c, UNK) for c in chars.tolist()], np.uint8)
    np.savez_compressed(out / "nietzsche.npz", chars=text, cut=cut, symbols=json.dumps(symbols))


def read_reviews(root: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    "IMDB's texts; their part (n,): 0 train, 1 unsup, 2 test; their label (n,): 0 negative, 1 positive, 255 none."
    texts, part, label = [], [], []
    parts = {"train/neg": (0, 0), "train/pos": (0, 1), "train/unsup": (1, 255), "test/neg": (2, 0), "test/pos": (2, 1)}
    for folder, (p, y) in parts.items():
        files = sorted((root / folder).glob("*.txt"), key=lambda f: int(f.stem.split("_")[0]))
        texts += [f.read_text("utf-8") for f in files]
        part, label = part + [p] * len(files), label + [y] * len(files)
    if not texts: raise FileNotFoundError(f"no reviews in {root}")
    return texts, np.array(part, np.uint8), np.array(label, np.uint8)


def count_baselines(train: np.ndarray, valid: np.ndarray, vocab: int) -> dict:
    """Nats a token on `valid` (n,) of two models that only count: unigrams, and bigrams mixed with them.

    The mixing weight is the best for `valid` itself, which favours the baseline."""
    train, valid = train.astype(np.int64), valid.astype(np.int64)
    uni = (np.bincount(train, minlength=vocab) + 1.) / (len(train) + vocab)
    pairs, counts = np.unique(train[:-1] * vocab + train[1:], return_counts=True)
    want = valid[:-1] * vocab + valid[1:]
    at = np.searchsorted(pairs, want).clip(max=len(pairs) - 1)
    seen = np.where(pairs[at] == want, counts[at], 0) / np.bincount(train, minlength=vocab)[valid[:-1]].clip(min=1)
    mixed = [-np.log(w * seen + (1 - w) * uni[valid[1:]]).mean() for w in np.linspace(.02, .98, 49)]
    return {"unigram_nll": float(-np.log(uni[valid[1:]]).mean()), "bigram_nll": float(min(mixed))}


def tfidf(docs: list[str], part: np.ndarray, label: np.ndarray) -> dict:
    "Logistic regression on TF-IDF of one and two tokens: fitted on the labelled train reviews, nothing tuned."
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    def take(p): return [docs[i] for i in np.flatnonzero(part == p)]
    vectors = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    model = LogisticRegression(C=30, max_iter=300).fit(vectors.fit_transform(take(0)), label[part == 0])
    right = (model.predict(vectors.transform(take(2))) == label[part == 2]).mean()
    return {"accuracy": float(right), "interval": wilson(right, sum(part == 2)), "setting": "min_df 3, sublinear, C 30"}


def imdb(source: Path, out: Path):
    """tokens.xz (uint16), docs.npz (reviews), pack.json (vocabulary, facts). Takes three minutes on the real reviews.

    The language model may read a review (`lm` 1: train, 2: the held-out tenth) if it is not a test review, no test
    review has the same text, and it is the first with that text."""
    from lessonkit.tokens import SPECIALS, numericalize_docs

    texts, part, label = read_reviews(source / "imdb" / "aclImdb")
    print(f"{len(texts):,} reviews read; tokenising", flush=True)
    seen, vocab = numericalize_docs([t for t, p in zip(texts, part) if p < 2], max_vocab=Size.vocab)
    test, _ = numericalize_docs([t for t, p in zip(texts, part) if p == 2], vocab=vocab)
    assert tuple(vocab.itos[:N_SPECIALS]) == SPECIALS, "the special tokens have other numbers now: mend the constants"
    facts = {"tokens_train_unsup": len(seen), "marks_train_unsup": int(((seen >= 3) & (seen < N_SPECIALS)).sum()),
             "tokens_test": len(test), "vocab": len(vocab), "unknown_train_unsup": float((seen == UNK).mean()),
             "unknown_test": float((test == UNK).mean())}
    tokens, first, in_test = np.concatenate([seen, test]), {}, {t for t, p in zip(texts, part) if p == 2}
    for i, t in enumerate(texts): first.setdefault(t, i)
    lm = np.array([p < 2 and first[t] == i and t not in in_test for i, (t, p) in enumerate(zip(texts, part))], np.uint8)
    lm[np.random.default_rng(0).permutation(np.flatnonzero(lm))[: lm.sum() // 10]] = 2
    starts = np.flatnonzero(tokens == BOS)
    lengths = np.diff(starts, append=len(tokens)).astype(np.int32)
    print(f"{len(seen):,} + {len(test):,} tokens; counting pairs of them", flush=True)
    counted = np.repeat(lm, lengths)
    facts |= {"lm_tokens": int((counted == 1).sum()), "lm_valid_tokens": int((counted == 2).sum())}
    facts |= count_baselines(tokens[counted == 1], tokens[counted == 2], Size.vocab)
    words = np.array(vocab.itos, object)[tokens]
    facts["tfidf"] = tfidf([" ".join(d) for d in np.split(words, starts[1:])], part, label)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 1, "pb": 1, "dict_size": 1 << 26}]
    (out / "tokens.xz").write_bytes(lzma.compress(tokens.astype("<u2").tobytes(), filters=filters))
    np.savez_compressed(out / "docs.npz", lengths=lengths, part=part, label=label, lm=lm)
    about = {"itos": vocab.itos, "facts": facts}
    (out / "pack.json").write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")


def rossmann(source: Path, out: Path):
    "rossmann.npz: the joined table as codes and numbers, by a mapping fitted on the rows that are not held out."
    from lessonkit.course.sets.rossmann import load
    from lessonkit.tabular import last_days, shop_encoder, store_days

    table = store_days(load(source / "rossmann"))
    held = np.arange(len(table)) < 41_395 if len(table) == 844_338 else last_days(table["Date"])  # fastai's own rows
    sales, encoder = table.pop("Sales").to_numpy(np.int32), shop_encoder()
    x = encoder.fit(table[~held]).transform(table).to_numpy(np.float32)
    parts = {f"column{i:03d}": c.astype(np.int16) if (c == np.rint(c)).all() and abs(c).max() < 2**15 else c
             for i, c in enumerate(x.T)}
    np.savez_compressed(out / "rossmann.npz", **parts, sales=sales, held=held, encoder=json.dumps(encoder.to_dict()))


def pytest_itself(source: Path, out: Path):
    "pytest, which a bare machine lacks: pure Python, copied from this environment."
    for name in PYTEST:
        folder = Path(importlib.util.find_spec(name).origin).parent
        shutil.copytree(folder, out / "python" / name, ignore=shutil.ignore_patterns("__pycache__"))


MADE = ("part", "tokens.xz", "docs.npz", "pack.json", "nietzsche.npz", "rossmann.npz", *(s[0] for s in SETS.values()))
SOURCES = {"cifar10": lambda s, o: pictures(s, o, "cifar10"), "dogscats": lambda s, o: pictures(s, o, "dogscats"),
           "python": pytest_itself, "nietzsche": nietzsche, "imdb": imdb, "rossmann": rossmann}


def clear(out: Path):
    "Removes what an earlier `pack` left in `out`, and nothing else."
    for name in MADE: (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "python", ignore_errors=True)


def pack(rows: list[str], source: Path, out: Path):
    "Collects what `rows` need from `source` into `out`, anew, and refuses what is heavier than a package may be."
    wanted = sorted({kind for row in rows for kind in NEEDS[row]})
    out.mkdir(parents=True, exist_ok=True)
    clear(out)
    (out / ".gitignore").write_text("*\n")
    for kind in wanted:
        before = weight(out)
        SOURCES[kind](source, out)
        print(f"{kind}: {(weight(out) - before) / 2**20:.1f} MiB", flush=True)
    if (heavy := weight(out)) > LIMIT:
        clear(out)
        raise SystemExit(f"{' '.join(rows)}: {heavy / 2**20:.1f} MiB, and {LIMIT >> 20} fit: pack fewer rows at a time")
    print(f"{out}: {heavy / 2**20:.1f} MiB for {', '.join(rows)}")
