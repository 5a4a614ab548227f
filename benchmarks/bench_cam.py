"""Class activation maps beside captum and torchcam: the same maps, and their cost above a plain forward pass."""
import torch
from side_by_side import interleave, peer, rows

from lessonkit.cam import cam, grad_cam
from lessonkit.course.nets import load_net

PEERS = ["captum", "torchcam"]


def agree(name, x, model, last):
    "The maps are the peers' maps, or the comparison means nothing."
    maps, y = cam(model, x), model(x).argmax(1)
    cells, own = maps[0, 0].numel(), maps[range(len(x)), y]
    assert (maps.mean((2, 3)) + model.head.bias - model(x)).abs().max() < 1e-5
    torch.testing.assert_close(grad_cam(model, x, y, last) * cells, own, atol=1e-4, rtol=1e-4)
    if attr := peer("captum.attr"):
        theirs = attr.LayerGradCam(model, last).attribute(x, y)[:, 0]
        gap = (theirs - grad_cam(model, x, y, last)).abs().max() / theirs.abs().max()
        print(f"{name}: captum's Grad-CAM differs by {gap:.1e} of its largest value")
        assert gap < 1e-5
    if methods := peer("torchcam.methods"):
        with methods.CAM(model, last, fc_layer="head") as extractor:
            out = model(x)
            theirs = extractor(y.tolist(), out, normalized=False)[0]
        gap = (theirs - own).abs().max() / own.abs().max()
        print(f"{name}: torchcam's CAM differs by {gap:.1e} of the largest value")
        assert gap < 1e-5
        with methods.GradCAM(model, last) as extractor:
            theirs = extractor(y.tolist(), model(x), normalized=False)[0]
        gap = (theirs - grad_cam(model, x, y, last, relu=True)).abs().max() / theirs.abs().max()
        print(f"{name}: torchcam's Grad-CAM differs by {gap:.1e} of its largest value")
        assert gap < 1e-5


def measured(name, side):
    "A table's rows for one net: all classes' maps of 8 pictures."
    model, _, classes = load_net(name)
    last, n = model.trunk[-1], len(classes)
    x = torch.randn(8, 3, side, side, generator=torch.Generator().manual_seed(0))
    agree(name, x, model, last)

    def plain():
        with torch.no_grad(): return model(x)

    def captum_all():
        gradients = peer("captum.attr").LayerGradCam(model, last)
        return [gradients.attribute(x, k) for k in range(n)]

    def torchcam_all():
        with peer("torchcam.methods").CAM(model, last, fc_layer="head") as extractor, torch.no_grad():
            out = model(x)
            return [extractor(k, out, normalized=False) for k in range(n)]

    seconds = interleave({"lessonkit": lambda: cam(model, x), "a plain forward pass": plain,
                          "captum's Grad-CAM": captum_all if peer("captum.attr") else None,
                          "torchcam's CAM": torchcam_all if peer("torchcam.methods") else None})
    milliseconds = {who: s and [t * 1e3 for t in s] for who, s in seconds.items()}
    demanded = {"a plain forward pass": 1 / 1.2, "captum's Grad-CAM": 1.5}
    return rows("cam", f"{name}: all {n} classes' maps, 8 pictures", "ms", milliseconds, False, demanded)


def run():
    "A table's rows for both nets that come with the course."
    return measured("cifar-net", 32) + measured("dogscats-net", 96)
