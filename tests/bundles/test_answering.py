"""Answers to images from outside: checked against limits, with probabilities by the classes' names."""

import io
import math
from pathlib import Path
from types import SimpleNamespace

import described
import numpy as np
import pytest
from scipy.special import softmax

from pipeline.bundles import answering, bundle
from pipeline.bundles.bundle import Outputs
from pipeline.core.errors import InputError
from pipeline.datasets.synthetic.synthetic import spider_image

LOGITS = np.array([[[0.5, 2.5]], [[1.5, 0.25]]], dtype=np.float32)


def drawn():
    out = io.BytesIO()
    spider_image(1, 2, size=40, seed=0).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def loaded():
    """A bundle of two networks that answer the same whatever they see; it notes the images."""
    seen, sizes = [], []

    def run(images, *, batch_size=None):
        seen.append(images)
        sizes.append(batch_size)
        return Outputs(LOGITS.repeat(len(images), axis=1), np.zeros((len(images), 1), np.float32))

    said = described.REPEAT
    return SimpleNamespace(
        description=said,
        certainty=None,
        pixels=lambda source: bundle.pixels(source, said.preprocessing),
        run=run,
        seen=seen,
        sizes=sizes,
    )


def test_an_answer_has_the_mean_of_the_networks_softmax_in_float64(loaded):
    [answer] = answering.answers(loaded, [drawn()], top=1)
    wanted = softmax(LOGITS.astype(np.float64), axis=2).mean(0)[0]
    assert list(answer["probabilities"]) == ["cat", "dog"]
    assert list(answer["probabilities"].values()) == pytest.approx(wanted, abs=1e-15)
    assert answer["class"] == "dog"
    assert answer["probability"] == answer["probabilities"]["dog"]
    assert answer["top"] == [{"class": "dog", "probability": answer["probability"]}]


def test_a_batch_has_the_size_that_is_asked_for(loaded):
    answering.answers(loaded, [drawn()])
    answering.answers(loaded, [drawn()], batch_size=1)
    assert loaded.sizes == [None, 1]
    assert (answering.batch_size("SIZE", ""), answering.batch_size("SIZE", "4")) == (None, 4)
    for value in ("0", "-1", "many", "1.5"):
        with pytest.raises(InputError, match=rf"^SIZE: '{value}': a whole number of at least 1 is needed$"):
            answering.batch_size("SIZE", value)


def test_the_content_of_a_file_is_the_image_that_the_file_is(loaded, tmp_path):
    file = tmp_path / "image.jpg"
    file.write_bytes(drawn())
    answering.answers(loaded, [file, drawn()])
    [images] = loaded.seen
    assert images.shape == (2, 3, 96, 96)
    assert np.array_equal(images[0], images[1])


@pytest.mark.parametrize(
    ("images", "top", "message"),
    [
        ([], 3, "^0 images: from 1 to 64 are accepted per request$"),
        ([b"x"] * 65, 3, "^65 images: from 1 to 64 are accepted per request$"),
        ([drawn()], 0, "^top: 0 is not a whole number"),
        ([drawn(), b""], 3, "^image 1: empty: 0 bytes$"),
        ([b"nothing"], 3, "^image 0: not an image, or damaged at its start; these can be read: JPEG"),
        ([drawn()[:-2]], 3, "^image 0: cannot be read: its end is missing$"),
        ([b"\0\0\0\x18ftypheic"], 3, "^image 0: a HEIC image; save it as JPEG or PNG$"),
        ([Path("gone.jpg")], 3, "^image 0: No such file or directory$"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_line(loaded, images, top, message):
    with pytest.raises(InputError, match=message):
        answering.answers(loaded, images, top=top)
    assert loaded.seen == []


def test_an_image_of_too_many_bytes_is_refused_before_it_is_read(loaded, monkeypatch):
    monkeypatch.setattr(answering, "MOST_BYTES", 100)
    with pytest.raises(InputError, match=r"^image 0: [\d,]+ bytes; at most 100 are accepted$"):
        answering.answers(loaded, [drawn()])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that is served, with a photograph, and a link that leads out of it."""
    place = tmp_path / "served"
    place.mkdir()
    (place / "a.jpg").write_bytes(b"a")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (place / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    monkeypatch.setenv(answering.FOLDER, str(place))
    return place


def test_bytes_are_taken_as_they_are_beside_an_empty_path():
    assert answering.source({"image": b"a", "path": math.nan}, 0) == b"a"


@pytest.mark.parametrize("row", [{}, {"image": None, "path": None}, {"image": b"a", "path": "a.jpg"}, {"image": "a"}])
def test_a_row_has_either_bytes_or_a_path(row):
    with pytest.raises(InputError, match=r"^image 4: either the bytes of a file in `image` or its `path` is needed$"):
        answering.source(row, 4)


def test_no_path_is_taken_unless_a_folder_is_named(folder, monkeypatch):
    monkeypatch.delenv(answering.FOLDER)
    with pytest.raises(InputError, match=r"^image 0: paths are not accepted; send the file's bytes, or set ORBWEAVER_"):
        answering.source({"path": "a.jpg"}, 0)


def test_a_path_below_the_folder_is_taken(folder):
    assert answering.source({"path": "a.jpg"}, 0) == folder / "a.jpg"
    assert answering.source({"path": str(folder / "a.jpg")}, 0) == folder / "a.jpg"


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd", "link.jpg", "a\0.jpg"])
def test_a_path_that_leads_out_of_it_is_refused(folder, path):
    with pytest.raises(InputError, match=r"^image 0: its path leads out of the folder that is served$"):
        answering.source({"path": path}, 0)
