"""Lesson 40's module from outside: odd files, changes on whole batches, several views."""
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lessonkit import images
from lessonkit.images import Augment, PictureError, from_folders, mirror, open_picture, pad_crop, survey, to_batch, tta

import lessonkit.exercises.images  # noqa: F401  registers the exercises
from lessonkit.course.exercises import exercise

torch.set_num_threads(1)
PICTURE = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)


def save(path, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PICTURE).save(path, **kwargs)
    return path


@pytest.fixture
def folder(tmp_path):
    for label in ("a", "b"):
        for i in range(3): save(tmp_path / label / f"{i}.png")
    return tmp_path


ODD = {  # what is written, and the word that the report must have
    "grey.png": (lambda p: Image.fromarray(PICTURE).convert("L").save(p), "grey"),
    "bits.png": (lambda p: Image.fromarray(PICTURE).convert("1").save(p), "black and white"),
    "deep.png": (lambda p: Image.fromarray(PICTURE[..., 0].astype(np.uint16)).save(p), "16-bit grey"),
    "palette.png": (lambda p: Image.fromarray(PICTURE).quantize(8).save(p), "palette"),
    "clear.png": (lambda p: Image.fromarray(PICTURE).convert("RGBA").save(p), "transparent"),
    "ink.jpg": (lambda p: Image.fromarray(PICTURE).convert("CMYK").save(p), "CMYK"),
    "film.gif": (lambda p: Image.fromarray(PICTURE).save(p, save_all=True, append_images=[Image.new("RGB", (70, 50))]),
                 "2 frames"),
    "wrong.jpg": (lambda p: Image.fromarray(PICTURE).save(p, "png"), "PNG named .jpg"),
    "half.png": (lambda p: p.write_bytes(save(p.with_name("part.png")).read_bytes()[:3000]), "damaged"),
    "text.jpg": (lambda p: p.write_text("<html>"), "no picture"),
    "empty.jpg": (lambda p: p.write_bytes(b""), "no picture"),
    "zeros.gif": (lambda p: p.write_bytes(b"GIF89a" + bytes(40)), ""),
}


@pytest.mark.parametrize("name", ODD)
def test_no_file_stops_the_look(folder, name):
    make, word = ODD[name]
    make(folder / "a" / name)
    found = from_folders(folder, 16)
    row = found.report.set_index("file").loc[f"a/{name}"]
    assert word in row.notes and len(found.images) == found.report.ok.sum()
    assert found.images.shape[1:] == (16, 16, 3) and found.images.dtype == np.uint8 and found.labels.dtype == np.int64
    assert row.ok == (name not in ("half.png", "text.jpg", "empty.jpg", "zeros.gif"))


@pytest.mark.parametrize("way", range(1, 9))
def test_turned_pictures_stand_upright(tmp_path, way):
    exif = Image.Exif()
    exif[0x0112] = way
    image, notes = open_picture(save(tmp_path / "p.png", exif=exif))
    t = Image.Transpose
    ways = [None, t.FLIP_LEFT_RIGHT, t.ROTATE_180, t.FLIP_TOP_BOTTOM, t.TRANSPOSE, t.ROTATE_270, t.TRANSVERSE,
            t.ROTATE_90]
    want = Image.fromarray(PICTURE)
    if way > 1: want = want.transpose(ways[way - 1])
    assert np.array_equal(np.asarray(image), np.asarray(want)) and bool(notes) == (way > 1)


def test_transparent_pictures_lie_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "p.png")
    assert np.asarray(open_picture(tmp_path / "p.png")[0]).min() == 255


def test_sixteen_bits_of_grey_keep_their_shades(tmp_path):
    Image.fromarray(np.arange(0, 65_536, 257, dtype=np.uint16).reshape(16, 16)).save(tmp_path / "p.png")
    image, notes = open_picture(tmp_path / "p.png")
    assert (np.asarray(image)[..., 2].ravel() == np.arange(256)).all() and notes == ["16-bit grey: made RGB"]


def test_a_huge_jpeg_is_read_small_and_a_bomb_not_at_all(tmp_path):
    Image.new("RGB", (6000, 4000)).save(tmp_path / "huge.jpg")
    image, notes = open_picture(tmp_path / "huge.jpg", 64)
    assert min(image.size) < 1000 and "24 megapixels" in notes[0]
    assert open_picture(tmp_path / "huge.jpg")[0].size == (6000, 4000)
    Image.new("1", (20000, 10000)).save(tmp_path / "bomb.png")
    with pytest.raises(PictureError, match="refused unread"): open_picture(tmp_path / "bomb.png")


def test_the_same_file_twice_is_said(folder):
    notes = survey(folder).notes
    assert notes[0] == "" and all("the same file as a/0.png" in n for n in notes[1:])


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"): from_folders(tmp_path / "none")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="sub-folders"): from_folders(tmp_path)
    (tmp_path / "a" / "x.jpg").write_text("text")
    with pytest.raises(ValueError, match="none of 1 files"): from_folders(tmp_path)


def test_changes_leave_their_input_alone_and_stay_on_it():
    x, was = torch.randn(6, 3, 12, 20), None
    was = x.clone()
    for change in (Augment(cutout=4), Augment(rotate=0, zoom=0, shift=0), lambda x: pad_crop(x, 3), mirror):
        assert change(x).shape == x.shape and change(x).dtype == x.dtype and torch.equal(x, was)
    half = x.to(torch.float64)
    assert Augment(cutout=4)(half).dtype == torch.float64


def test_a_draw_is_used_twice_alike():
    x, change = torch.randn(5, 1, 9, 9), Augment(cutout=3)
    draw = change.draw(x, torch.Generator().manual_seed(1))
    assert torch.equal(change.apply(x, draw), change.apply(x, draw))
    one = change.apply(x[2:3], images.Draw(*(d[2:3] for d in draw)))
    torch.testing.assert_close(one, change.apply(x, draw)[2:3])  # a picture's change depends on no other picture


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_draw_gives_the_same_pictures_on_the_gpu():
    x, change = torch.randn(5, 3, 12, 20), Augment(cutout=3)
    draw = change.draw(x)
    there = change.apply(x.cuda(), images.Draw(*(d.cuda() for d in draw)))
    torch.testing.assert_close(there.cpu(), change.apply(x, draw), atol=1e-4, rtol=1e-4)
    assert change(x.cuda()).is_cuda and change(x.cuda(), torch.Generator().manual_seed(0)).is_cuda
    assert pad_crop(x.cuda(), 3).is_cuda


@pytest.mark.parametrize("edge", ["reflection", "border", "zeros"])
def test_a_quarter_turn_of_a_square_moves_pixels(edge):
    x, one, no = torch.randn(2, 3, 8, 8), torch.ones(2), torch.zeros(2)
    turned = images.moved(x, images.geometry(-90 * one, one, no, no, no.bool(), 1.), edge)
    torch.testing.assert_close(turned, x.rot90(-1, (2, 3)), atol=1e-4, rtol=1e-4)


def test_zoom_makes_things_larger():
    x = torch.zeros(1, 1, 32, 32)
    x[..., 12:20, 12:20] = 1
    one, no = torch.ones(1), torch.zeros(1)
    for zoom in (.5, 1., 2.):
        area = images.moved(x, images.geometry(no, zoom * one, no, no, no.bool(), 1.), "zeros").sum().item()
        assert area == pytest.approx(64 * zoom**2, rel=.06)


class Left(nn.Module):
    "Says class 0 where the left half is brighter."
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(.5)

    def forward(self, x): return self.drop(torch.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], 1))


def test_tta_averages_probabilities_in_eval_mode():
    model, x = Left().train(), torch.randn(10, 1, 8, 8)
    p = tta(model, x, [mirror], bs=3)
    torch.testing.assert_close(p, torch.full((10, 2), .5))  # left and right cancel: a view that hurts
    assert model.training and model.drop.training
    assert tta(model, x, []).shape == (10, 2) and not tta(model, x, [Augment(flip=0)] * 3).requires_grad
    with pytest.raises(ValueError, match="plain=2"): tta(model, x, plain=2)


def test_normalised_by_the_training_pictures():
    x = np.random.default_rng(0).integers(0, 255, (40, 6, 7, 3), np.uint8)
    mean, std = images.channel_stats(x)
    out = to_batch(x, mean, std)
    assert out.shape == (40, 3, 6, 7) and out.dtype == torch.float32
    np.testing.assert_allclose(out[3, 1], (x[3, :, :, 1] - x[..., 1].mean()) / x[..., 1].std(ddof=1), atol=1e-4)
    flat = np.full((2, 3, 3, 3), 7, np.uint8)
    assert torch.isfinite(to_batch(flat, *images.channel_stats(flat))).all()


WRONG = {
    "images/normalize": [lambda i, m, s: ((i - m) / s).reshape(len(i), 3, *i.shape[1:3]),
                         lambda i, m, s: (i.float().permute(0, 3, 1, 2) / s[:, None, None]) - m[:, None, None]],
    "images/mean-of-views": [lambda a: a.mean(0).softmax(1), lambda a: a.softmax(1).mean(0),
                             lambda a: a.softmax(2).sum(0)],
    "images/paste": [lambda x, o, t, l, s: torch.where(torch.ones_like(x).bool(), o, x)],
}


@pytest.mark.parametrize("name", WRONG)
def test_exercises_accept_the_answer_and_no_wrong_one(name):
    assert exercise(name).check(exercise(name).reference)
    for wrong in WRONG[name]: assert not exercise(name).check(wrong)
