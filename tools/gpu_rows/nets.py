"""The nets of the vision rows: the course's own, begun as their recipes want it. Both end in pooling and a linear
layer, so CAM is exact."""
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lessonkit.course import nets
from lessonkit.course.nets import PooledNet


def maps(net: PooledNet, x: Tensor) -> Tensor:
    "CAM (Zhou et al. 2016): (b, n_class, h, w), whose mean over h, w plus the head's bias is net(x)."
    return torch.einsum("kc,bchw->bkhw", net.head.weight, net.trunk(x).float())


def cifar_net(widths: tuple[int, ...] = (128, 176, 208)) -> PooledNet:
    """Input (3, 32, 32). Conv 3-24, 2 x 2, unpadded, with bias, filters ± the whitening of 2 x 2 patches, fixed; GELU.
    Then for each of the three widths a layer [conv 3 x 3, pad 1, no bias; max-pool 2 x 2, at the last 3 x 3 with stride
    1 and pad 1; BatchNorm; GELU (erf)] and x + two such layers without pool. The 7 x 7 map is averaged; linear."""
    return nets.cifar_net(widths)


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
    short is x or, at stride 2, 2 x 2 mean, conv 1 x 1, BN. The 6 x 6 map is averaged; linear. Each block begins as its
    short way: the body's last scale is 0."""
    net = nets.dogscats_net(widths, strides)
    for block in net.trunk[3:]: nn.init.zeros_(block.body[-1].weight)
    return net


def cost(net: nn.Module, size: int) -> dict:
    "Weights, and MFLOP a picture of size x size in convolutions and linear layers, a multiply-add counted as two."
    macs, net = [], copy.deepcopy(net).cpu().eval()
    def count(m, _, out): macs.append(out.numel() * m.weight[0].numel())
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)): m.register_forward_hook(count)
    net(torch.zeros(1, 3, size, size))
    return {"weights": sum(p.numel() for p in net.parameters()), "mflop": round(2 * sum(macs) / 1e6, 1)}
