"""Wrong answers that no exercise of lessons 01 to 12, 30 and 32 knows: what differs is said in words all the same."""
import numpy as np
import pytest
import torch

from lessonkit.course.exercises import _names_in, exercise
from lessonkit.learner import Callback
from lessonkit.schedules import Schedule

TOPICS = "sgd losses logistic network schedules learner lr_finder bagging forest_insight search tokens bptt".split()


def of(f): return lambda right, *args: f(right(*args))  # a change of the right result


def part(k, f):  # a change of one item of it
    return of(lambda found: tuple(f(v) if i == k else v for i, v in enumerate(found)))


def turned(found): return found[::-1]


def without_last(*names):  # inputs cut short; all, or the first few
    n = len(names)
    return lambda right, *args: right(*(a[:-1] if i in names or not n else a for i, a in enumerate(args)))


def one_more(k, by=1): return lambda right, *args: right(*(a + by if i == k else a for i, a in enumerate(args)))


def doubled_step(right, *args): return tuple(2 * new - old for new, old in zip(right(*args), args))


def full_step(k_lr): return lambda right, *args: right(*(1.0 if i == k_lr else a for i, a in enumerate(args)))


def spoils(k, f):  # right, but an input is changed in place
    def answer(right, *args):
        found = right(*args)
        f(args[k])
        return found
    return answer


def doubled_norms(right):
    cb = right()
    note = type(cb).after_backward

    class Doubled(Callback):
        def __init__(self): self.norms = []

        def after_backward(self, learn):
            note(cb, learn)
            self.norms.append(2 * cb.norms[-1])

    return Doubled()


def at_every_batch(right):
    class Often(Callback):
        def __init__(self): self.norms = []
        def before_batch(self, learn): self.norms.append(1.0)

    return Often()


def all_off(right, groups, n):
    for group in groups:
        for p in group: p.requires_grad_(False)


def drops_a_group(right, groups, n):
    right(groups, n)
    groups.pop(0)


def over_all(right, x):
    exps = (x - x.amax(-1, keepdim=True)).exp()
    return exps / exps.sum()


def over_one_less(right, weight, bias, x, y, lr):
    n = max(len(y) - 1, 1)
    return tuple(old + (new - old) * len(y) / n for new, old in zip(right(weight, bias, x, y, lr), (weight, bias)))


ANSWERS = {  # name: (a wrong answer, words that its check must say), twice
    "sgd/gradient-step": [(doubled_step, "the change from what was given is 2 times"), (of(turned), "reverse order")],
    "sgd/adam-step": [(full_step(5), "the change from `p` should be `lr` times"), (of(turned), "reverse order")],
    "sgd/nesterov": [(lambda right, p, grads, lr, m: right(p, grads[:-1], lr, m), "without the last item of `grads`"),
                     (lambda right, p, *a: 2 * right(p, *a) - p, "the change from `p` is 2 times")],
    "losses/binary-if": [(of(lambda v: v / 2), "a factor 2 left out"), (of(lambda v: 100 * v), "a percentage")],
    "losses/categorical": [(of(lambda v: 2 * v), "a factor 2 too many"), (of(lambda v: [v]), "got a list")],
    "losses/softmax": [(of(lambda v: v.T), "axes are swapped"), (over_all, "each row is right but for a factor")],
    "losses/smoothing": [(of(lambda v: v / 2), "a factor 2 left out"), (of(lambda v: torch.tensor([v])), "keepdim")],
    "logistic/normalize": [(of(turned), "reverse order"),
                           (of(lambda v: tuple(a.astype(np.int64) for a in v)), "whole numbers")],
    "logistic/step": [(part(0, lambda w: w.T), "in [0] alone: its axes are swapped"), (over_one_less, "- 1, and")],
    "logistic/yes-no-step": [(full_step(4), "`lr`"), (part(1, lambda b: b[None]), "keepdim")],
    "network/tent": [(of(turned), "in each other's place"), (of(lambda v: (v[0], [w / 2 for w in v[1]])), "yours")],
    "network/backward": [(of(turned), "reverse order"), (part(0, lambda w: w.T), "in [0] alone: its axes")],
    "network/dropout": [(spoils(0, lambda h: h.fill(0)), "it changes its input `h`"),
                        (of(lambda v: v[:-1]), "one entry too few (off by one): the last one is missing")],
    "network/leaky": [(one_more(0), "`n_in` one larger"), (of(lambda v: -v), "the sign of it")],
    "schedules/warmup-stable-decay": [(one_more(0, 1.0), "times what it should be"),
                                      (of(lambda f: f(0.5)), "expected a function of position, got a float")],
    "schedules/restarts": [(of(turned), "reverse order"), (of(lambda v: [100 * p for p in v]), "a percentage")],
    "learner/ragged": [(without_last(1, 2), "without the last item of `preds`"), (of(int), "whole numbers")],
    "learner/freeze": [(all_off, "requires_grad"), (drops_a_group, "expected 3 items, got 2")],
    "learner/callback": [(doubled_norms, "2 times what it should be"), (at_every_batch, "expected 6 norms")],
    "lr-finder/rates": [(one_more(2), "one entry too many (off by one)"), (of(lambda v: v[:, None]), "keepdim")],
    "lr-finder/debias": [(of(lambda v: np.r_[0, v[:-1]]), "one place too late"),
                         (of(lambda v: v[:-1]), "the last one is missing")],
    "lr-finder/steps-late": [(of(lambda v: -v), "the sign of it"), (of(lambda v: v / 2), "a factor 2 left out")],
    "bagging/information-gain": [(of(lambda v: v / np.log2(10)), "the base of the logarithm"),
                                 (of(lambda v: 2 * v), "a factor 2 too many")],
    "bagging/out-of-bag": [(of(lambda v: v / 2), "a factor 2 left out"), (of(lambda v: np.array([v])), "keepdim")],
    "bagging/left-out": [(one_more(1, -1), "`m` one smaller"), (of(lambda v: 100 * v), "a percentage")],
    "forest-insight/permutation": [(of(lambda v: 2 * v), "a factor 2 too many"),
                                   (spoils(2, lambda y: y.sort()), "it changes its input `y`")],
    "forest-insight/path": [(of(lambda v: v.astype(int)), "expected floats"),
                            (of(lambda v: np.r_[v, 0]), "one entry too many")],
    "forest-insight/two-orders": [(of(lambda v: tuple(-a for a in v)), "the sign of it"),
                                  (of(lambda v: np.array(v)), "expected a tuple, got")],
    "search/product": [(of(turned), "reverse order"), (of(lambda v: v[:-1]), "too few (off by one): the last")],
    "search/flattery": [(of(lambda v: 100 * v), "a percentage"), (of(lambda v: v[None]), "keepdim")],
    "search/recorded": [(of(turned), "reverse order"), (part(1, lambda n: n + 1), "in [1] alone: it is too large")],
    "tokens/apply-merges": [(of(turned), "reverse order"), (of(lambda v: v[:-1]), "one item too few (off by one)")],
    "tokens/vocab-for-share": [(of(lambda v: v + 1), "too large, off by one"), (of(float), "expected integers")],
    "tokens/docs-to-stream": [(of(lambda v: v[:, None]), "keepdim"),
                              (lambda right, d, s: right(d[:-1], s), "without the last item of `docs`")],
    "bptt/cut-stream": [(of(lambda v: v[:-1]), "one item too few (off by one): the last"),
                        (of(lambda v: [p[::-1] for p in v]), "reverse order")],
    "bptt/carry": [(of(lambda s: s[0]), "shape"), (of(lambda s: -s), "not that of an uncut reading")],
    "bptt/where": [(one_more(3), "`window` one larger"), (one_more(4), "`row` one larger")],
}


def test_each_exercise_of_these_lessons_has_two():
    names = {name for topic in TOPICS for name in _names_in(topic)}
    assert names == set(ANSWERS) and all(len(two) == 2 for two in ANSWERS.values()) and Schedule


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("which", [0, 1])
def test_an_answer_nobody_thought_of_is_told_what_differs(name, which, capsys):
    e, (wrong, words) = exercise(name), ANSWERS[name][which]

    def answer(*args): return wrong(e.reference, *args)

    assert not e.check(answer)
    said = capsys.readouterr().out
    assert not any(sentence in said for _, sentence in e.mistakes), f"it is known already:\n{said}"
    assert words in said, said
