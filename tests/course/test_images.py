"""Picture files as people have them: read to RGB, or refused with a reason; and folders of them as a data set."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from lessonkit.course.datasets import DataError
from lessonkit.course.images import MAX_PIXELS, from_folders, natural, read_picture, read_pictures

PHOTO = np.kron(np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


def stored(image, format, **how):
    out = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(out, format, **how)
    return out.getvalue()


def read(tmp_path, data, name='a.jpg', **how):
    (tmp_path / name).write_bytes(data)
    return read_picture(tmp_path / name, **how)


def turned(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


KINDS = { # what a file is: (bytes, name, what is noted, how far its pixels may be from the photo's)
    'plain JPEG': (lambda im: stored(im, 'JPEG', quality=95), 'a.jpg', '', 12),
    'PNG': (lambda im: stored(im, 'PNG'), 'a.png', '', 0),
    'WebP': (lambda im: stored(im, 'WEBP', lossless=True), 'a.webp', '', 0),
    'BMP': (lambda im: stored(im, 'BMP'), 'a.bmp', '', 0),
    'TIFF': (lambda im: stored(im, 'TIFF'), 'a.tif', '', 0),
    'capital ending': (lambda im: stored(im, 'PNG'), 'A.PNG', '', 0),
    'RGBA': (lambda im: stored(im.convert('RGBA'), 'PNG'), 'a.png', 'transparent', 0),
    'CMYK': (lambda im: stored(im.convert('CMYK'), 'JPEG', quality=95), 'a.jpg', 'CMYK', 16),
    'palette': (lambda im: stored(im.quantize(54), 'PNG'), 'a.png', 'palette', 4),
    'GIF': (lambda im: stored(im.quantize(54), 'GIF'), 'a.gif', 'palette', 4),
    'GIF of two frames': (lambda im: stored(im.quantize(54), 'GIF', save_all=True,
        append_images=[Image.new('P', im.size)]), 'a.gif', '2 frames', 4),
    'a PNG called .jpg': (lambda im: stored(im, 'PNG'), 'a.jpg', 'PNG under a name that ends in .jpg', 0),
    'no ending': (lambda im: stored(im, 'PNG'), 'a', 'ends in nothing', 0),
    'EXIF, upright': (lambda im: stored(im, 'JPEG', quality=95, exif=turned(1)), 'a.jpg', '', 12),
}


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_of_file_is_read_to_rgb_and_noted(tmp_path, kind):
    make, name, note, off = KINDS[kind]
    picture = read(tmp_path, make(Image.fromarray(PHOTO)), name)
    assert picture.reason == '' and picture.pixels.shape == PHOTO.shape and picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.writeable
    assert abs(picture.pixels.astype(int) - PHOTO).mean() <= off
    assert note in '; '.join(picture.notes) if note else picture.notes == ()
    assert (picture.width, picture.height) == (72, 48)


@pytest.mark.parametrize('mode, note',
    [('L', 'greyscale'), ('1', 'greyscale'), ('LA', 'transparent'), ('I;16', 'more than 8 bits')])
def test_grey_is_grey(tmp_path, mode, note):
    grey = Image.fromarray(PHOTO).convert('L')
    grey = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == 'I;16' else grey.convert(mode)
    picture = read(tmp_path, stored(grey, 'PNG'), 'a.png')
    assert note in '; '.join(picture.notes) and 'greyscale' in picture.notes
    assert (picture.pixels == picture.pixels[..., :1]).all()
    expected = np.asarray(Image.fromarray(PHOTO).convert('L').convert('1' if mode == '1' else 'L').convert('L'))
    assert abs(picture.pixels[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize('orientation', range(2, 9))
def test_a_photograph_stands_as_its_tag_says(tmp_path, orientation):
    lying = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, 3)}[orientation](PHOTO)
    picture = read(tmp_path, stored(np.ascontiguousarray(lying), 'PNG', exif=turned(orientation)), 'a.png')
    assert picture.notes == ('turned as its EXIF tag asks',)
    assert (picture.pixels == PHOTO).all()


def test_transparent_parts_are_white(tmp_path):
    clear = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)])
    clear[:, :30, 3] = 0
    pixels = read(tmp_path, stored(clear, 'PNG'), 'a.png').pixels
    assert (pixels[:, :30] == 255).all() and (pixels[:, 30:] == PHOTO[:, 30:]).all()
    palette = Image.fromarray(PHOTO).quantize(16)
    picture = read(tmp_path, stored(palette, 'PNG', transparency=palette.getpixel((0, 0))), 'b.png')
    assert (picture.pixels[0, 0] == 255).all() and 'transparent' in '; '.join(picture.notes)


def png(width, height):
    "The beginning of a PNG that claims a size: a few bytes."
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunk(b'IDAT',
        zlib.compress(b'')) + chunk(b'IEND', b'')


JPEG = stored(PHOTO, 'JPEG')
ODD = {
    'empty': (b'', 'is empty'),
    'text': (b'these are words, and there are many of them', 'is text'),
    'text in another language': ('Grüße '.encode() * 9, 'is text'),
    'a web page': (b'\n <!DOCTYPE html><html>', 'is a web page'),
    'a drawing in text': (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'SVG'),
    'an iPhone photograph': (b'\0\0\0\x20ftypheic' + bytes(90), 'HEIC'),
    'zeros': (bytes(5000), 'is no picture'),
    'a zip': (b'PK\3\4' + bytes(90), 'is no picture'),
    'half a JPEG': (JPEG[:len(JPEG) // 2], 'breaks off'),
    'a JPEG that lost its beginning': (JPEG[100:], 'is no picture'),
    'a PNG with wrong bytes': (stored(PHOTO, 'PNG')[:60] + b'\xff' * 40 + stored(PHOTO, 'PNG')[100:], 'breaks off'),
    'far too many pixels': (png(20_000, 20_000), 'megapixels'),
    'too many pixels': (png(10_000, 9_000), 'megapixels'),
    'no pixels': (png(0, 5), ''),
}


@pytest.mark.parametrize('kind', ODD)
@pytest.mark.filterwarnings('error')
def test_what_cannot_be_read_says_why(tmp_path, kind):
    data, why = ODD[kind]
    picture = read(tmp_path, data)
    assert picture.pixels is None and why in picture.reason and picture.reason and '\n' not in picture.reason


def test_a_large_photograph_is_read_and_noted(tmp_path):
    data = stored(np.zeros((5000, 8000, 3), np.uint8), 'JPEG')
    picture = read(tmp_path, data, size=32)
    assert picture.pixels.shape == (32, 32, 3) and picture.notes == ('large: 40 megapixels',)
    assert (picture.width, picture.height) == (8000, 5000)
    assert 5000 * 8000 < MAX_PIXELS


def test_no_file_and_no_plain_file(tmp_path):
    (tmp_path / 'loop.jpg').symlink_to(tmp_path / 'loop.jpg')
    os.mkfifo(tmp_path / 'pipe.jpg')
    for name in ('none.jpg', 'loop.jpg', 'pipe.jpg', '.'):
        assert read_picture(tmp_path / name).reason == 'is not there, or is no plain file'


@pytest.mark.filterwarnings('error')
def test_random_damage_never_raises(tmp_path):
    rng = np.random.default_rng(0)
    files = [stored(PHOTO, f) for f in ('JPEG', 'PNG', 'GIF', 'WEBP', 'TIFF', 'BMP')] + [stored(PHOTO, 'JPEG',
        exif=turned(6))]
    for i in range(300):
        data = bytearray(files[i % len(files)])
        for _ in range(rng.integers(1, 6)): data[rng.integers(len(data))] = rng.integers(256)
        picture = read(tmp_path, bytes(data[:rng.integers(20, len(data) + 1)] if i % 3 == 0 else data), size=16)
        assert (picture.pixels is None) == bool(picture.reason)
        if picture.pixels is not None: assert picture.pixels.shape == (16, 16, 3) and picture.pixels.dtype == np.uint8


@pytest.mark.parametrize('how, first', [('crop', 18), ('squash', 18), ('pad', 12)])
def test_sizes(tmp_path, how, first):
    lit = np.zeros((40, 80, 3), np.uint8)
    lit[:, 20:60] = 200
    pixels = read(tmp_path, stored(lit, 'PNG'), 'a.png', size=20, how=how).pixels
    width = {'crop': 20, 'squash': 10, 'pad': 10}[how]
    height = {'crop': 20, 'squash': 20, 'pad': 10}[how]
    bright = pixels[..., 0] > 100
    assert pixels.shape == (20, 20, 3) and abs(bright.any(0).sum() - width) <= 1
    assert abs(bright.any(1).sum() - height) <= 1
    assert 'enlarged' in read(tmp_path, stored(lit, 'PNG'), 'a.png', size=41).notes
    for wrong in ({'size': 0}, {'size': 2.5}, {'size': True}, {'how': 'stretch'}):
        with pytest.raises(ValueError, match=next(iter(wrong))): read_picture(tmp_path / 'a.png', **wrong)
        with pytest.raises(ValueError, match=next(iter(wrong))): read_pictures([], **wrong)
        with pytest.raises(ValueError, match=next(iter(wrong))): from_folders(tmp_path, **wrong)


def test_many_files_keep_their_order(tmp_path):
    for i in range(150): Image.new('RGB', (4, 4), (i, 0, 0)).save(tmp_path / f'{i}.png')
    assert [p.pixels[0, 0, 0] for p in read_pictures(tmp_path / f'{i}.png' for i in range(150))] == list(range(150))


# ---- folders ----

@pytest.fixture
def pets(tmp_path):
    "Three cats and two dogs; and what people leave in folders."
    files = {'cat/10.png': 10, 'cat/2.png': 2, 'cat/more/1.png': 99, 'dog/1.png': 50, 'dog/2.png': 60}
    for name, red in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8), (red, 0, 0)).save(tmp_path / name)
    for name in ('.DS_Store', 'cat/._2.png', 'dog/Thumbs.db', '.git/x.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'x')
    return tmp_path


def test_folders_of_pictures(pets, capsys):
    images, labels, names = from_folders(pets, size=8)
    assert images[:, 0, 0, 0].tolist() == [2, 10, 99, 50, 60] and labels.tolist() == [0, 0, 0, 1, 1]
    assert names == ['cat', 'dog']
    assert images.dtype == np.uint8 and labels.dtype == np.int64 and capsys.readouterr().out == ''


def test_odd_files_are_left_out_and_told_not_raised(pets, capsys):
    for i, (data, _) in enumerate(v for k,
        v in ODD.items() if 'pixels' not in k): (pets / 'dog' / f'odd{i}.jpg').write_bytes(data)
    (pets / 'readme.txt').write_text('mine', encoding='utf-8')
    (pets / 'bird').mkdir()
    (pets / 'empty').mkdir()
    (pets / 'bird' / 'notes\n\x1b[31m<b>.txt').write_text('none yet', encoding='utf-8')
    (pets / 'cat' / 'loop').symlink_to(pets)
    images, labels, names, report = from_folders(pets, size=8, report=True)
    assert len(images) == 5 and names == ['cat', 'dog'] and labels.tolist() == [0, 0, 0, 1, 1]
    said = capsys.readouterr().out
    assert said.count('\n') == 1 and '5 pictures of 2 classes; 13 left out' in said and '\x1b' not in said
    assert report['read'].sum() == 5 and (report['reason'] != '').sum() == 13
    assert set(report['label']) == {'cat', 'dog', 'bird', ''}
    assert report.set_index('file').loc['readme.txt', 'reason'] == 'lies in no class folder'
    assert (report['read'] == (report['reason'] == '')).all()


@pytest.mark.parametrize('make, words', [
    (lambda p: p / 'nowhere', 'cannot be read as a folder'), (lambda p: p / 'file.txt', 'cannot be read as a folder'),
    (lambda p: p / 'bare', 'holds no folders with files'), (lambda p: p / 'words', 'None of the 1 files'),
        (lambda p: p / 'loop', 'cannot be read as a folder'),
])
def test_no_folder_of_class_folders(tmp_path, make, words):
    (tmp_path / 'bare' / 'cat').mkdir(parents=True)
    (tmp_path / 'words' / 'cat').mkdir(parents=True)
    for name in ('file.txt', 'words/cat/a.txt'): (tmp_path / name).write_text('x', encoding='utf-8')
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    with pytest.raises(DataError, match=words): from_folders(make(tmp_path))


def test_the_natural_order(): assert sorted(['b', 'a10', 'a9', 'A1', '²', ''], key=natural) == ['', 'A1', 'a9', 'a10',
    'b', '²']
