"""The nets that come with the course: what their cards say is so, and what is no net or no picture is refused."""
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from lessonkit.course import nets


@pytest.mark.parametrize("name", nets.ARCHITECTURES)
def test_net_is_what_its_card_says(name):
    model, prepare, classes = nets.load_net(name)
    card, side = nets.card(name), nets.ARCHITECTURES[name][1]
    assert classes == card["classes"] and not model.training
    assert sum(p.numel() for p in model.parameters()) == card["weights"]
    own = {k: list(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert own == card["tensors"]
    x = prepare(np.zeros((3, side, side, 3), np.uint8))
    assert x.shape == (3, 3, side, side) and model(x).shape == (3, len(classes))
    np.testing.assert_allclose(x[0, :, 0, 0], -np.array(card["mean"]) / card["std"], rtol=1e-5)


def test_unknown_net_is_named():
    with pytest.raises(ValueError, match="did you mean 'cifar-net'"): nets.load_net("cifar_net")


def test_changed_file_is_refused(tmp_path, monkeypatch):
    for p in nets.weights_folder().glob("cifar-net.*"): (tmp_path / p.name).write_bytes(p.read_bytes())
    data = bytearray((tmp_path / "cifar-net.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "cifar-net.safetensors").write_bytes(data)
    monkeypatch.setattr(nets, "weights_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="damaged: its sha256"): nets.load_net("cifar-net")


class Evil:
    def __reduce__(self): return (open, ("never.txt", "w"))


def test_a_pickle_of_more_than_tensors_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"w": torch.zeros(2), "epoch": 3}, tmp_path / "mixed.pth")
    torch.save(torch.zeros(2), tmp_path / "tensor.pth")
    for name in ("evil", "plain", "mixed", "tensor"):
        with pytest.raises(ValueError, match="it was not read|no state dict|cannot be read"):
            nets.read_weights(tmp_path / f"{name}.pth")
    assert not (tmp_path / "never.txt").exists()
    with pytest.raises(FileNotFoundError): nets.read_weights(tmp_path / "none.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(ValueError, match="no whole safetensors"): nets.read_weights(tmp_path / "cut.safetensors")


def test_fill_names_what_does_not_fit():
    state = torch.nn.Linear(2, 3).state_dict()
    with pytest.raises(ValueError, match=r"lack bias"): nets.fill(torch.nn.Linear(2, 3), {"weight": state["weight"]})
    with pytest.raises(ValueError, match=r"beyond the net, more"):
        nets.fill(torch.nn.Linear(2, 3), state | {"more": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"weight \(3, 2\) for \(4, 2\)"): nets.fill(torch.nn.Linear(2, 4), state)


def test_pictures_of_every_kind(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 10, 3), dtype=np.uint8)
    image, prepare = Image.fromarray(pixels), nets.Preprocess((1., 2, 3), (4., 5, 6), 8)
    for mode in ("L", "P", "RGBA", "CMYK", "1"): assert prepare(image.convert(mode)).shape == (1, 3, 8, 8)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=turned)
    got = prepare.show(prepare(tmp_path / "turned.png", (10, 6)))[0]
    assert (got == np.rot90(pixels, -1)).all()
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match="text.jpg cannot be read"): prepare([image, tmp_path / "text.jpg"])
    (tmp_path / "bomb.ppm").write_bytes(b"P6 20000 20000 255\n")
    with pytest.raises(ValueError, match="bomb.ppm cannot be read.*400000000 pixels"): prepare(tmp_path / "bomb.ppm")
    with pytest.raises(ValueError, match=r"uint8 of shape \(h, w, 3\)"): prepare(pixels / 255)
    wide = nets.Preprocess((0., 0, 0), (1., 1, 1), 6, crop=True)
    assert (wide.show(wide(pixels))[0] == pixels[:, 2:8]).all()  # the middle square


def test_16_bits_and_transparent_parts_are_seen_as_they_look():
    grey = np.linspace(0, 255, 96 * 96).astype(np.uint8).reshape(96, 96)
    clear = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    clear[:20, :, 3] = 0  # nothing there: white, as a page shows it
    white = np.where(np.arange(96)[:, None] < 20, np.uint8(255), grey)
    prepare = nets.Preprocess((0., 0, 0), (1., 1, 1), 96)
    for strange, plain in ((Image.fromarray(grey.astype(np.uint16) * 257), grey), (Image.fromarray(clear), white)):
        torch.testing.assert_close(prepare([strange]), prepare([Image.fromarray(plain)]), atol=1, rtol=0)


def test_cards_hide_nothing():
    for name in nets.ARCHITECTURES:
        card = json.loads((nets.weights_folder() / f"{name}.json").read_text(encoding="utf-8"))
        for key in ("data", "command", "seed", "machine", "train_seconds", "accuracy", "standard_error", "sha256"):
            assert card[key] not in (None, ""), key


@pytest.mark.parametrize("name", nets.CHARACTER_NETS)
def test_character_net_is_what_its_card_says(name):
    net, prepare, symbols = nets.load_net(name)
    card = nets.card(name)
    assert symbols == card["symbols"] == list(prepare.symbols) and not net.training
    whole = {k: v for k, v in card["tensors"].items() if not k.endswith(".scale")}
    assert {k: list(v.shape) for k, v in net.state_dict().items()} == whole
    assert all(v.dtype == torch.float32 for v in net.state_dict().values())


def test_character_net_reads_as_its_card_says():
    "Where the text is at hand: the held-out loss of its last fifth, state kept."
    from lessonkit.char_rnn import char_data
    from lessonkit.course.datasets import available, load

    if available().loc["nietzsche", "source"] == "stand-in":
        pytest.skip("needs the real text: lessonkit download nietzsche")
    net, prepare, symbols = nets.load_net("nietzsche-lstm")
    data = char_data(load("nietzsche"), train_lines=7_999)
    ids = prepare(data.vocab.textify(data.valid, "").replace("xxunk", "§"))[0]
    n = (len(ids) - 1) // 64
    x, y, state, total = ids[: 64 * n].view(64, n), ids[1 : 64 * n + 1].view(64, n), None, 0.0
    with torch.no_grad():
        for i in range(0, n, 128):
            out, state = net(x[:, i : i + 128], state)
            out, wanted = out.flatten(0, 1), y[:, i : i + 128].flatten()
            total += torch.nn.functional.cross_entropy(out, wanted, reduction="sum")
    assert total.item() / (64 * n) == pytest.approx(nets.card("nietzsche-lstm")["valid_nll_as_saved"], abs=2e-4)


def test_characters_come_back_and_strangers_are_unknown():
    prepare = nets.Characters(("<unk>", "a", "b"))
    assert prepare("AbÄ").tolist() == [[1, 2, 0]] and prepare.text([1, 2]) == "ab"
    with pytest.raises(TypeError, match="give a str"): prepare(["a"])
    with pytest.raises(ValueError, match="text is empty"): prepare("")
