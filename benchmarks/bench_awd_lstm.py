"""`AWDLSTM` (lesson 34) against plain `nn.LSTM` layers of the same sizes, and against fastai's AWD_LSTM: milliseconds
a training step of the encoder, forward and backward. The decoder and the optimizer, the same for all, are left out."""
import copy

import torch
from torch import nn

from lessonkit.awd_lstm import AWDLSTM
from side_by_side import interleave, peer, rows

PEERS = ["fastai"]
VOCAB, EMB, HID, LAYERS, BS, BPTT = 10_000, 200, 500, 3, 64, 70
DROPS = {"embed_p": .02, "input_p": .05, "hidden_p": .05, "weight_p": .1}
OURS, PLAIN, FASTAI = "lessonkit `AWDLSTM`, all dropouts", "plain `nn.LSTM` layers, no dropout", "fastai `AWD_LSTM`"
ROUNDS = 11


class Plain(nn.Module):
    "Embedding and layers, the state kept: what there is without any dropout."

    def __init__(self, enc):
        super().__init__()
        self.emb, self.rnns = copy.deepcopy(enc.emb), copy.deepcopy(enc.rnns)
        self.state = [None] * len(enc.rnns)

    def forward(self, x):
        out = self.emb(x)
        for i, rnn in enumerate(self.rnns):
            out, state = rnn(out, self.state[i])
            self.state[i] = tuple(s.detach() for s in state)
        return out


def fastais(enc, **drops):
    "fastai's encoder with our weights; None where it is not installed."
    if not peer("fastai.text.models.awdlstm"): return None
    theirs = peer("fastai.text.models.awdlstm").AWD_LSTM(VOCAB, EMB, HID, LAYERS, **drops)
    with torch.no_grad():
        theirs.encoder.weight.copy_(enc.emb.weight)
        for mine, dropped in zip(enc.rnns, theirs.rnns):
            for name, p in mine.named_parameters():
                raw = name == "weight_hh_l0"
                (getattr(dropped, f"{name}_raw") if raw else getattr(dropped.module, name)).copy_(p)
    return theirs


def check_same(enc, x):
    "In eval mode all three say the same, or the comparison means nothing."
    with torch.no_grad():
        want = Plain(enc)(x)
        torch.testing.assert_close(enc.eval()(x)[0], want, atol=1e-5, rtol=1e-4)
        if theirs := fastais(enc): torch.testing.assert_close(theirs.eval()(x), want, atol=1e-5, rtol=1e-4)
    enc.reset()


def step(model, x):
    "Forward, backward, gradients let go."
    def run():
        out = model(x)
        (out[1] if isinstance(out, tuple) else out).square().mean().backward()
        model.zero_grad(set_to_none=True)
    return run


def run():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        enc, x = AWDLSTM(VOCAB, EMB, HID, LAYERS, output_p=.05, **DROPS), torch.randint(VOCAB, (BS, BPTT))
        check_same(enc, x)
        theirs = fastais(enc, **DROPS)
        models = {OURS: enc, PLAIN: Plain(enc), FASTAI: theirs}
        steps = {who: m and step(m.train(), x) for who, m in models.items()}
        seconds = interleave(steps, ROUNDS)
    finally: torch.set_num_threads(threads)
    figures = {who: s and [t * 1e3 for t in s] for who, s in seconds.items()}
    what = f"a step of {LAYERS} × {HID}, embedding {EMB}, bs {BS}, bptt {BPTT}, one thread"
    return rows("awd_lstm", what, "ms", figures, False, demanded={PLAIN: 1 / 1.05, FASTAI: 1})
