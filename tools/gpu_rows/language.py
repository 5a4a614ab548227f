"""The rows imdb-forward and imdb-backward: an AWD-LSTM language model and a ULMFiT classifier, each direction.

Shapes are (batch, time, …); losses are nats; a "token" may be a mark (capitals, repeats), a "word" is not. A row fits
its epochs to its time, and after each phase writes what it has."""
import hashlib
import io
import json
import lzma
import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from lessonkit.awd_lstm import (AWDLSTM, DROPS, LanguageModel, activation_penalty, lm_loss, perplexity,
                                temporal_penalty)
from lessonkit.bptt import LMBatches
from lessonkit.ulmfit import TextClassifier

from .machine import CUDA, DEVICE, MAX_FILES, Run, clock

UNK, PAD, BOS, N_SPECIALS = 0, 1, 2, 7  # as lessonkit.tokens.SPECIALS; 3 to 6 are the marks
MAX_BYTES = 15_900_000  # of a file of weights
LM_DROPS, CLASSIFIER_DROPS = (.02, .05, .05, .05, .1), (.025, .2, .15, .2, .25)  # words, input, hidden, output, weights


@dataclass(frozen=True)
class Size:
    "How big a run is. The defaults are the real one."
    vocab: int = 29_952  # tokens known: 117 * 256, so that the softmax's matrix product has whole tiles
    emb: int = 512  # with `hidden`: multiples of 128, at most 1024, for cuDNN's persistent kernel
    hidden: int = 1024  # of the layers before the last, which is as wide as the embedding
    n_layers: int = 3
    bs: int = 128  # rows read side by side; a multiple of 8, at most 128, for the same kernel
    bptt: int = 72  # tokens a window of the language model
    max_epochs: float = 12  # of the language model
    lm_lr: float = 5e-3  # Adam's, at the top of one-cycle
    lm_tokens: int | None = None  # training tokens of the language model; None: all
    n_labelled: int | None = None  # reviews to train the classifier, and as many to test it; None: all 25,000
    max_len: int | None = None  # last tokens of a review that are read; None: all
    chunk: int = 288  # tokens the classifier reads between two cuts of the gradient
    reach: int = 1440  # last tokens of a batch that keep what the backward pass needs: bounds the memory


TINY = Size(200, 16, 24, 3, 8, 16, 1, 1e-2, 1_500, 24, 30, 16, 32)


class Data:
    "A pack on the device: `tokens` (n,) int64, one review after the other; on the CPU, what each review is for."

    def __init__(self, folder: Path, size: Size, device: torch.device):
        if not (found := sorted(folder.rglob("tokens.xz"))):
            raise FileNotFoundError(f"no tokens.xz in {folder}: run `tools/gpu.py pack imdb-forward` first")
        path, rng = found[0].parent, np.random.default_rng(0)
        about, docs = json.loads((path / "pack.json").read_text("utf-8")), np.load(path / "docs.npz")
        self.facts, part = about["facts"], docs["part"]
        tokens = np.frombuffer(lzma.decompress((path / "tokens.xz").read_bytes()), "<u2").astype(np.int64)
        self.tokens = torch.from_numpy(np.where(tokens < size.vocab, tokens, UNK)).to(device)
        self.lengths, self.label = torch.from_numpy(docs["lengths"].astype(np.int64)), docs["label"].astype(np.int64)
        self.starts = self.lengths.cumsum(0) - self.lengths
        train, valid = rng.permutation(np.flatnonzero(docs["lm"] == 1)), np.flatnonzero(docs["lm"] == 2)
        if size.lm_tokens: train = train[: int((self.lengths[train].cumsum(0) < size.lm_tokens).sum()) + 1]
        self.lm_docs = {1: train, 2: valid[: len(train) // 9 + 1]}
        self.train, self.test = (np.sort(rng.permutation(np.flatnonzero(part == p))[: size.n_labelled]) for p in (0, 2))

    def backward(self) -> "Data":
        "The same reviews, each read from its end."
        other, n = object.__new__(Data), len(self.tokens)
        other.__dict__ |= self.__dict__ | {"tokens": self.tokens.flip(0), "starts": n - self.starts - self.lengths}
        return other

    def stream(self, docs: np.ndarray) -> Tensor:
        "The reviews `docs`, joined in this order: (n,) int64."
        starts, lengths = (t[torch.from_numpy(docs)].to(self.tokens.device) for t in (self.starts, self.lengths))
        shift = torch.repeat_interleave(starts - (lengths.cumsum(0) - lengths), lengths)
        return self.tokens[shift + torch.arange(len(shift), device=shift.device)]

    def batches(self, docs: np.ndarray, bs: int, max_len: int | None):
        "Yields (x (b, longest) int64, padded at the end; its lengths; which of `docs`), without waiting for the GPU."
        lengths = self.lengths.numpy()[docs].clip(max=max_len)
        first = self.starts.numpy()[docs] + self.lengths.numpy()[docs] - lengths
        n, s = (torch.from_numpy(a).to(self.tokens.device)[:, None] for a in (lengths, first))
        for rows in (slice(i, i + bs) for i in range(0, len(docs), bs)):
            t = torch.arange(int(lengths[rows].max()), device=self.tokens.device)
            x = self.tokens[(s[rows] + t).clamp(max=len(self.tokens) - 1)]
            yield x.masked_fill(t >= n[rows], PAD), lengths[rows], rows


def make_encoder(size: Size, drops: tuple[float, ...]) -> AWDLSTM:
    "Lesson 34's encoder, of this size, with the dropouts in the order of `DROPS`."
    return AWDLSTM(size.vocab, size.emb, size.hidden, size.n_layers, **dict(zip(DROPS, drops)))


def autocast(run: Run):
    "Half precision on a GPU: fp16, since PyTorch takes cuDNN's persistent LSTM kernel for no other. Off with --safe."
    return torch.autocast("cuda", torch.float16) if CUDA and not run.safe else nullcontext()


def one_cycle(pos: float, up: float = .25, low: float = 1 / 25, end: float = 1e-5) -> float:
    "The rate's share of its peak at `pos` in [0, 1]: half a cosine up, half a cosine down (Smith 2018)."
    a, b, way = (low, 1., pos / up) if pos < up else (1., end, min((pos - up) / (1 - up), 1.))
    return a + (b - a) * (1 - math.cos(math.pi * way)) / 2


class Stepper:
    "One optimizer step from a loss: scale, backward, unscale, clip, step. Nothing in it waits for the GPU."

    def __init__(self, run: Run, groups: list, lrs: list[float], wd: float, clip: float):
        self.tops, self.clip = lrs, clip
        self.params, half = [p for g in groups for p in g], CUDA and not run.safe
        groups = [{"params": g} for g in groups]
        self.opt = torch.optim.AdamW(groups, betas=(.7, .99), weight_decay=wd, fused=half or None)
        self.scaler = torch.amp.GradScaler(DEVICE.type, enabled=half)

    def __call__(self, loss: Tensor, factor: float):
        for g, top in zip(self.opt.param_groups, self.tops): g["lr"] = top * factor
        self.opt.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.opt)  # before clipping: the limit is for gradients of true size
        nn.utils.clip_grad_norm_(self.params, self.clip)
        self.scaler.step(self.opt)  # fused: reads on the GPU whether to skip; another optimizer would wait for that
        self.scaler.update()


def evaluate_lm(run: Run, lm: LanguageModel, stream: Tensor, size: Size, limit: int | None = None) -> dict:
    "Nats a token; perplexity a token and a word (the marks' nats count, marks do not). `limit`: so many windows only."
    with autocast(run):
        found = perplexity(lm, islice(LMBatches(stream, size.bs, size.bptt), limit), range(BOS + 1, N_SPECIALS))
    return {"nll": found.nll, "perplexity": found.token, "word_perplexity": found.word}


def lm_steps(run: Run, size: Size, data: Data, lm: LanguageModel, stepper: Stepper, factor):
    "Trains on and on, the reviews in a new order each epoch; yields (steps done, running loss) until `factor` is None."
    rng, done, mean = np.random.default_rng(0), 0, None
    while True:
        lm.reset()
        for x, y in LMBatches(data.stream(rng.permutation(data.lm_docs[1])), size.bs, size.bptt):
            if (f := factor(done)) is None: return
            with autocast(run):
                out = lm.train()(x)
                nll = lm_loss(out, y)
            stepper(nll + activation_penalty(out.dropped) + temporal_penalty(out.raw), f)
            mean, done = nll.detach() if mean is None else mean.lerp(nll.detach(), .02), done + 1
            yield done, mean


def train_lm(run: Run, size: Size, data: Data, seconds: float) -> tuple[LanguageModel, dict, dict]:
    "Times 200 steps, then trains a new model for as many epochs as `seconds` allow → (model, settings, figures)."
    valid = data.stream(data.lm_docs[2])

    def fresh():
        torch.manual_seed(0)
        lm = LanguageModel(make_encoder(size, LM_DROPS)).to(DEVICE)
        return lm, Stepper(run, [list(lm.parameters())], [size.lm_lr], wd=.01, clip=.3)

    begin = clock()
    for n, _ in lm_steps(run, size, data, *fresh(), lambda _: 1e-3):
        if n == 10: mark = clock()
        if n == (20 if run.tiny else 210) or (n >= 15 and time.monotonic() - begin > .05 * seconds): break
    step = (clock() - mark) / (n - 10)
    speed, per_epoch = size.bs * size.bptt / step, len(LMBatches(data.stream(data.lm_docs[1]), size.bs, size.bptt))
    docs = data.lengths.numpy()[np.concatenate([data.train] * 4 + [data.test[::2]])]  # about what the classifier costs
    need = 1.3 * docs.clip(max=size.max_len).sum() / speed + min(15, .1 * seconds)
    left = min(max(seconds - need, .5 * seconds), .8 * seconds) - (time.monotonic() - begin)
    n_steps = max(int(min(.95 * left / step, size.max_epochs * per_epoch)), 10)
    run.log(f"language model: {step * 1e3:.2f} ms a step, {speed:,.0f} tokens/s: {n_steps} steps, {per_epoch} an epoch")
    (lm, stepper), history, begin = fresh(), [], clock()

    def factor(i):  # steps set the pace, the clock where it runs faster; at the end the rate has fallen either way
        pos = max(i / n_steps, (time.monotonic() - begin) / left)
        return one_cycle(pos) if pos < 1 else None
    for done, mean in lm_steps(run, size, data, lm, stepper, factor):
        if done % per_epoch == 0 or done == n_steps:
            history.append([round(done / per_epoch, 2), float(mean), evaluate_lm(run, lm, valid, size, 32)["nll"]])
            run.log("language model: epoch {:.2f}, train {:.3f}, valid (32 windows) {:.3f}".format(*history[-1]))
        elif run.due(): run.log(f"language model: epoch {done / per_epoch:.2f}, train {float(mean):.3f}")
    figures = {"ms_a_step": step * 1e3, "tokens_a_second": speed, "history": history,
               "loss_scale": stepper.scaler.get_scale(), "peak_GB": torch.cuda.max_memory_allocated() / 1e9}
    settings = {"epochs": done / per_epoch, "steps": done, "lm_drops": LM_DROPS}
    return lm, settings, figures | evaluate_lm(run, lm, valid, size)


def sortish(lengths: np.ndarray, bs: int, rng) -> np.ndarray:
    "A new random order in which reviews of like length stand together, `bs` by `bs`: little padding."
    order, pool, full = rng.permutation(len(lengths)), 50 * bs, len(lengths) // bs * bs
    pools = [order[i : i + pool] for i in range(0, len(order), pool)]
    order = np.concatenate([p[np.argsort(-lengths[p], kind="stable")] for p in pools])
    whole = order[:full].reshape(-1, bs)[rng.permutation(full // bs)].ravel()
    return np.concatenate([whole, order[full:]]) if len(order) - full > 1 else whole  # BatchNorm needs two rows


def train_classifier(run: Run, size: Size, data: Data, encoder: AWDLSTM | None,
                     seconds: float) -> tuple[TextClassifier, list]:
    """Head alone, one more layer each phase, then all, a layer's rate 2.6 times below the next → (model, epochs done).
    `encoder` None: from random weights. Each phase has its share of `seconds`; its rate falls to nothing by then."""
    begin, spent, n_done = time.monotonic(), 0., []
    rng, _ = np.random.default_rng(1), torch.manual_seed(1)
    own, label = make_encoder(size, CLASSIFIER_DROPS), torch.from_numpy(data.label).to(DEVICE)
    if encoder is not None: own.load_state_dict(encoder.state_dict())
    model = TextClassifier(own, 2, pad=PAD, chunk=size.chunk, reach=size.reach, drops=(.2, .1)).to(DEVICE).train()
    for epochs, n_free, lr, share in [(1, 1, .02, .1), (1, 2, .01, .17), (1, 3, .005, .2), (2, 5, .003, .53)]:
        groups, step, mean = model.groups(), 0, torch.zeros((), device=DEVICE)
        for i, g in enumerate(groups):
            for p in g: p.requires_grad_(i >= len(groups) - n_free)
        stepper = Stepper(run, groups[-n_free:], [lr / 2.6**i for i in reversed(range(n_free))], wd=.1, clip=1.)
        total, start, spent = epochs * -(-len(data.train) // size.bs), time.monotonic(), spent + share * seconds
        for _ in range(epochs):
            docs = data.train[sortish(data.lengths.numpy()[data.train], size.bs, rng)]
            y = label[torch.from_numpy(docs).to(DEVICE)]
            for x, lengths, rows in data.batches(docs, size.bs, size.max_len):
                pos = max(step / total, (time.monotonic() - start) / max(begin + spent - start, 1e-3))
                if pos >= 1: break
                with autocast(run): loss = F.cross_entropy(model(x, lengths), y[rows])
                stepper(loss, one_cycle(pos))
                step, mean = step + 1, mean.lerp(loss.detach(), max(.05, 1 / (step + 1)))
                if run.due(): run.log(f"classifier: {n_free} free, step {step} of {total}, loss {float(mean):.3f}")
        n_done.append(round(step / total * epochs, 2))
        run.log(f"classifier: {n_free} free, {step} of {total} steps done, loss {float(mean):.3f}")
    return model, n_done


@torch.no_grad()
def predict(run: Run, size: Size, data: Data, model: TextClassifier, docs: np.ndarray) -> np.ndarray:
    "The probability that each review of `docs` is positive: float32, in their order."
    order, found = np.argsort(data.lengths.numpy()[docs], kind="stable"), []
    for x, lengths, _ in data.batches(docs[order], size.bs, size.max_len):
        with autocast(run): found.append(model.eval()(x, lengths).softmax(1)[:, 1])
    return torch.cat(found).cpu().numpy()[np.argsort(order)]


def wilson(p: float, n: int) -> list[float]:
    "The 95 % interval of a share `p` of `n` (Wilson 1927)."
    z2, half = 1.96**2 / n, 1.96 * math.sqrt(p * (1 - p) / n + (1.96 / 2 / n) ** 2)
    return [round(float(p + z2 / 2 + sign * half) / (1 + z2), 5) for sign in (-1, 1)]


def verdict(p: np.ndarray, data: Data, name: str = "") -> dict:
    "Accuracy, its 95 % interval and log-loss of the probabilities `p` (n,) for the test reviews."
    y, q = data.label[data.test], p.astype(float).clip(1e-7, 1 - 1e-7)
    right, loss = float(((q > .5) == y).mean()), float(-np.where(y == 1, np.log(q), np.log(1 - q)).mean())
    return {f"{name}accuracy": right, f"{name}interval": wilson(right, len(y)), f"{name}log_loss": loss}


def packed_int8(tensors: dict[str, Tensor], most: int = MAX_BYTES) -> list[dict[str, Tensor]]:
    "A state dict in parts of at most `most` bytes: matrices as int8 with a scale a row ('….scale'), vectors as fp16."
    parts, used = [{}], 0
    for k, t in ((k, t.detach().float().cpu()) for k, t in tensors.items()):
        scale = t.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
        small = {k: t.half()} if t.ndim < 2 else {k: (t / scale).round().to(torch.int8), k + ".scale": scale}
        used += (more := sum(v.nbytes for v in small.values()))
        if used > most: parts, used = parts + [{}], more
        parts[-1] |= small
    return parts


def unpacked(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    "What `packed_int8` took, as float32: a state dict."
    return {k: v.float() * tensors.get(k + ".scale", 1.) for k, v in tensors.items() if not k.endswith(".scale")}


def imdb_row(run: Run, seconds: float):
    "Language model, its weights; classifier, test probabilities, their mean with the other direction's."
    begin, size, name = time.monotonic(), TINY if run.tiny else Size(), run.row
    data = Data(run.data, size, DEVICE)
    if name == "imdb-backward": data = data.backward()
    lm, settings, figures = train_lm(run, size, data, seconds)
    counted = {k: v for k, v in data.facts.items() if size.lm_tokens is None}  # counts, TF-IDF: of the whole
    run.save(settings=asdict(size) | settings, language_model_seconds=time.monotonic() - begin, **figures, **counted)
    run.log(f"perplexity {figures['perplexity']:.2f} a token, {figures['word_perplexity']:.2f} a word")
    own = {k: v for k, v in lm.state_dict().items() if k != "decoder.weight"}  # that is the embedding's once more
    parts, start = [save(p) for p in packed_int8(own)], time.monotonic()
    here = {f.name for f in run.out.iterdir()} | {"figures.json", "log.txt"}
    names = [f"{name}-{i}.safetensors" for i in range(len(parts))]
    if len(here | {*names, f"{name}.json", f"{name}-probabilities.npy"}) > MAX_FILES:
        run.log(f"weights not kept: {len(names)} files more are too many")
        names = []
    for f, part in zip(names, parts): run.write(f, part)
    model, epochs = train_classifier(run, size, data, lm.encoder, .85 * (seconds - (start - begin)))
    run.save(classifier_epochs=epochs, classifier_drops=CLASSIFIER_DROPS, classifier_seconds=clock() - start)
    start, p, file = time.monotonic(), predict(run, size, data, model, data.test), io.BytesIO()
    np.save(file, p)
    run.write(f"{name}-probabilities.npy", file.getvalue())
    found, other = verdict(p, data), Path(run.other or run.out / "imdb-forward-probabilities.npy")
    if name == "imdb-backward" and other.exists() and len(q := np.load(other)) == len(p):
        found |= verdict((p + q) / 2, data, "both_")
    run.save(**found, test_seconds=time.monotonic() - start)
    run.log(found)
    if not names: return
    kept = {k: v for part in parts for k, v in load(part).items()}
    lm.load_state_dict(unpacked(kept), strict=False)  # but for the decoder's tied weights
    found["kept_perplexity"] = evaluate_lm(run, lm, data.stream(data.lm_docs[2]), size)["perplexity"]  # int8's cost
    run.save(**found)
    run.write(f"{name}.json", {
        "name": name, **run.about,
        "what": "language model: state dict of lessonkit.awd_lstm.LanguageModel, by unpacked()",
        "files": {f: hashlib.sha256(part).hexdigest() for f, part in zip(names, parts)},
        "widths": [size.emb, *[size.hidden] * (size.n_layers - 1), size.emb],
        "vocabulary": f"the pack's first {size.vocab} itos",
        "data": "IMDB (Maas et al. 2011), train and unsup reviews whose text is not in test",
        "perplexity": figures["perplexity"], **found,
        "limits": "film reviews, their writers' prejudices" + ("; A TRIAL, NOT A RESULT" if run.tiny else "")})
