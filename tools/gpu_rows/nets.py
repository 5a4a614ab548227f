"""The nets of the vision rows. `cifar_net` and `dogscats_net` end in pooling and a linear layer, so CAM is exact."""
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PooledNet(nn.Module):
    "trunk: (b, 3, H, W) -> (b, c, h, w); mean over h, w; linear layer. So the class maps add up to the answer."

    def __init__(self, trunk: list, c: int, n_class: int):
        super().__init__()
        self.trunk, self.head = nn.Sequential(*trunk), nn.Linear(c, n_class)

    def forward(self, x: Tensor) -> Tensor:
        "x (b, 3, H, W) -> logits (b, n_class), float32 from the pooling on."
        pooled = self.trunk(x).float().mean((2, 3))
        with torch.autocast(x.device.type, enabled=False): return self.head(pooled)

    def maps(self, x: Tensor) -> Tensor:
        "CAM (Zhou et al. 2016): (b, n_class, h, w), whose mean over h, w plus the head's bias is forward(x)."
        return torch.einsum("kc,bchw->bkhw", self.head.weight, self.trunk(x).float())


class Residual(nn.Module):
    "after(short(x) + body(x)); short and after are the identity unless given."

    def __init__(self, body: nn.Module, short: nn.Module | None = None, after: nn.Module | None = None):
        super().__init__()
        self.body, self.short = body, short or nn.Identity()
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        "x (b, c, h, w) -> (b, c', h', w')."
        return self.after(self.short(x) + self.body(x))


def conv(ni: int, nf: int, ks: int = 3, stride: int = 1) -> nn.Conv2d:
    "A convolution without bias that keeps the size at stride 1."
    return nn.Conv2d(ni, nf, ks, stride, ks // 2, bias=False)


def cifar_net(widths: tuple[int, ...] = (128, 176, 208)) -> PooledNet:
    """Input (3, 32, 32). Conv 3-24, 2 x 2, unpadded, with bias, filters ± the whitening of 2 x 2 patches, fixed; GELU.
    Then for each of the three widths a layer [conv 3 x 3, pad 1, no bias; max-pool 2 x 2, at the last 3 x 3 with stride
    1 and pad 1; BatchNorm; GELU (erf)] and x + two such layers without pool. The 7 x 7 map is averaged; linear."""
    def layer(ni, nf, *pool): return nn.Sequential(conv(ni, nf), *pool, nn.BatchNorm2d(nf, momentum=.2), nn.GELU())
    trunk, ni = [nn.Conv2d(3, 24, 2), nn.GELU()], 24
    for i, nf in enumerate(widths):
        pool = nn.MaxPool2d(2) if i < len(widths) - 1 else nn.MaxPool2d(3, 1, 1)
        trunk += [layer(ni, nf, pool), Residual(nn.Sequential(layer(nf, nf), layer(nf, nf)))]
        ni = nf
    return PooledNet(trunk, ni, 10)


@torch.no_grad()
def whiten(net: PooledNet, x: Tensor) -> PooledNet:
    """Sets the first filters of cifar_net to ± the whitening of 2 x 2 patches of x (b, 3, h, w) and freezes them: the
    eigenvectors of the patches' covariance over the root of eigenvalue + 5e-4 (idea: tysam-code/hlb-CIFAR10)."""
    patches = F.unfold(x, 2).transpose(1, 2).reshape(-1, 12)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T).double().cpu())
    filters = (vectors / (values + 5e-4).sqrt()).T.reshape(12, 3, 2, 2)
    net.trunk[0].weight.requires_grad_(False).copy_(torch.cat([filters, -filters]))
    net.trunk[0].bias.zero_()
    return net


def dogscats_net(widths: tuple[int, ...] = (24, 64, 128, 128, 288), strides=(1, 2, 2, 1, 2)) -> PooledNet:
    """Input (3, 96, 96). Conv 3 x 3 stride 2 to the first width, BatchNorm, ReLU; a residual block for each width,
    strides 1, 2, 2, 1, 2: ReLU(short(x) + BN(conv(ReLU(BN(conv(x)))))), convs 3 x 3, pad 1, no bias, the first strided;
    short is x or, at stride 2, 2 x 2 mean, conv 1 x 1, BN. The 6 x 6 map is averaged; linear."""
    trunk, ni = [conv(3, widths[0], 3, 2), nn.BatchNorm2d(widths[0]), nn.ReLU()], widths[0]
    for nf, s in zip(widths, strides):
        body = nn.Sequential(conv(ni, nf, 3, s), nn.BatchNorm2d(nf), nn.ReLU(), conv(nf, nf), nn.BatchNorm2d(nf))
        nn.init.zeros_(body[-1].weight)
        short = None
        if s == 2: short = nn.Sequential(nn.AvgPool2d(2), conv(ni, nf, 1), nn.BatchNorm2d(nf))
        elif ni != nf: short = nn.Sequential(conv(ni, nf, 1), nn.BatchNorm2d(nf))
        trunk.append(Residual(body, short, nn.ReLU()))
        ni = nf
    return PooledNet(trunk, ni, 2)


def cost(net: nn.Module, size: int) -> dict:
    "Weights, and MFLOP a picture of size x size in convolutions and linear layers, a multiply-add counted as two."
    macs, net = [], copy.deepcopy(net).cpu().eval()
    def count(m, _, out): macs.append(out.numel() * m.weight[0].numel())
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)): m.register_forward_hook(count)
    net(torch.zeros(1, 3, size, size))
    return {"weights": sum(p.numel() for p in net.parameters()), "mflop": round(2 * sum(macs) / 1e6, 1)}
