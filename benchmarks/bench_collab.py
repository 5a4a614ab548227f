"""Training the dot product with biases (lesson 20) on MovieLens, against fastai's collab_learner: ratings a second."""
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from lessonkit.collab import DotBias, Ratings, rating_learner
from lessonkit.course.datasets import load
from side_by_side import interleave, peer, rows

PEERS = ["fastai"]
N, N_VALID, FACTORS, RANGE, LR, WD = 19_200, 64, 50, (0, 5.5), 5e-3, 0.1
ROUNDS = 9
OURS, PLAIN, BARE = "lessonkit `rating_learner`", "the same, torch's plain AdamW", "a bare loop, plain AdamW"
FASTAI = "fastai `collab_learner`"


def ours(ratings, train, valid, bs, **kwargs):
    "An epoch of N ratings, and its short validation."
    learn = rating_learner(DotBias(ratings.n_users, ratings.n_items, FACTORS, RANGE), ratings[train], ratings[valid],
                           bs=bs, **kwargs)
    return lambda: learn.fit(1, LR, wd=WD, show=False)


def bare(ratings, train, valid, bs):
    "What one would write without a library."
    model, r = DotBias(ratings.n_users, ratings.n_items, FACTORS, RANGE), ratings[train]
    opt = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=WD)

    def epoch():
        for some in torch.randperm(len(r)).split(bs):
            F.mse_loss(model(r.users[some], r.items[some]), r.stars[some]).backward()
            opt.step()
            opt.zero_grad()

    return epoch


def fastais(ratings, train, valid, bs):
    "fastai's own learner on the same rows, its bar and its printing off; None where it is not installed."
    if not peer("fastai.collab"): return None
    import pandas as pd

    collab = peer("fastai.collab")
    peer("fastai.callback.progress")  # gives its learner `no_bar`
    table = pd.DataFrame(dict(user=ratings.users.numpy(), item=ratings.items.numpy(), rating=ratings.stars.numpy()))
    # all rows, so that its ids are ours; of them it trains on N
    whole = collab.TabularCollab(table, [collab.Categorify], ["user", "item"], y_names="rating",
                                 y_block=collab.TransformBlock(), splits=(list(train), list(valid)))
    dls = whole.dataloaders(bs=bs, device="cpu")
    learn = collab.collab_learner(collab.CollabDataLoaders(*dls.loaders), n_factors=FACTORS, y_range=RANGE, wd=WD)
    learn.logger = lambda row: None

    def epoch():
        with learn.no_bar(): learn.fit(1, LR)

    epoch.learn = learn
    return epoch


def check_same(ratings, theirs):
    "With the same weights both models say the same, or the comparison means nothing."
    if theirs is None: return
    model, other = DotBias(ratings.n_users, ratings.n_items, FACTORS, RANGE), theirs.learn.model
    u, i = ratings.users[:500], ratings.items[:500]
    vocabs = theirs.learn.dls.classes.values()
    users, items = (torch.tensor([vocab.o2i[int(v)] for v in ids]) for vocab, ids in zip(vocabs, (u, i)))
    with torch.no_grad():
        for name, here, there in (("u_weight", model.user_factors, users), ("i_weight", model.item_factors, items),
                                  ("u_bias", model.user_bias, users), ("i_bias", model.item_bias, items)):
            here.weight[u if there is users else i] = getattr(other, name).weight[there]
        torch.testing.assert_close(model(u, i), other(torch.stack([users, items], 1)))


def compare(ratings, bs):
    order = np.random.default_rng(0).permutation(len(ratings))
    parts = order[:N], order[N : N + N_VALID]
    plain = partial(ours, opt_fn=torch.optim.AdamW)
    makers = {OURS: ours, PLAIN: plain, BARE: bare, FASTAI: fastais}
    made = {who: make(ratings, *parts, bs) for who, make in makers.items()}
    check_same(ratings, made[FASTAI])
    n = min(N, len(parts[0])) // bs * bs  # fastai leaves out a last short batch
    seconds = interleave(made, repeats=ROUNDS)
    figures = {who: s and [n / t / 1e3 for t in s] for who, s in seconds.items()}
    what = f"{len(ratings):,} ratings, {ratings.n_users} × {ratings.n_items:,} embeddings of {FACTORS}, bs {bs}"
    return rows("collab", what, "thousand ratings/s", figures, True, demanded={FASTAI: 1.5})


def run():
    threads, ratings = torch.get_num_threads(), Ratings.of(load("movielens"))
    torch.set_num_threads(1)
    try: return compare(ratings, 64) + compare(ratings, 256)
    finally: torch.set_num_threads(threads)
