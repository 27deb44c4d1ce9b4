import numpy as np
import PIL.Image
import pytest

from delineate.files import UnreadableFile, read_image, read_mask


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_a_film_is_refused(suffix, tmp_path):
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableFile, match="3 frames"):
        read_image(tmp_path / f"a.{suffix}")


def test_palette_as_index_and_as_colour(tmp_path):
    picture = PIL.Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "m.gif")
    assert read_mask(tmp_path / "m.gif").pixels.tolist() == [[[0, 1], [1, 0]]]
    assert read_image(tmp_path / "m.gif").pixels.tolist() == [[[0, 255], [255, 0]]] * 3
