"""What several vendors' sides of the simulator are made of: forms and pictures."""

from __future__ import annotations

import httpx
import pytest

from pulse_gateway.testing.simulator.forms import FormError, Part, read_form
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.samples import PICTURES, clip, picture
from pulse_gateway.testing.simulator.vendor import Request


def _form(body: bytes, content_type: str = "multipart/form-data; boundary=x") -> list[Part]:
    return read_form(Request("POST", "/", {}, {"content-type": content_type}, body))


def test_a_form_is_taken_apart_as_it_was_put_together() -> None:
    files = {"a[]": ('q"uo\nte.png', b"\r\n--\x00\r\n", "image/png"), "b": (None, "ü"), "c": ("c", b"")}
    sent = httpx.Request("POST", "http://a", files=files, data={"d": ["1", "2"]})
    parts = _form(sent.read(), sent.headers["content-type"])
    assert [(part.name, part.filename, part.data) for part in parts] == [
        ("d", None, b"1"),
        ("d", None, b"2"),
        ("a[]", 'q"uo\nte.png', b"\r\n--\x00\r\n"),
        ("b", None, "ü".encode()),
        ("c", "c", b""),
    ]
    assert (parts[2].content_type, parts[3].content_type, parts[3].text) == ("image/png", "", "ü")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--y\r\n",
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1',
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x\r\n',
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n1\r\n--x--',
        b"--x\r\ncontent-disposition: form-data\r\n\r\n1\r\n--x--",
        b'--x\r\ncontent-disposition: attachment; name="a"\r\n\r\n1\r\n--x--',
        b'--xy\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
        b"--x\r\nnonsense\r\n\r\n1\r\n--x--",
    ],
)
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(FormError):
        _form(body)


def test_a_boundary_is_needed_and_may_be_quoted() -> None:
    assert _form(b"--a b--", 'multipart/form-data; charset=utf-8; boundary="a b"') == []
    for content_type in ("application/json", "multipart/form-data", "multipart/form-data; boundary="):
        with pytest.raises(FormError):
            _form(b"--x--", content_type)


@pytest.mark.parametrize("media_type", PICTURES)
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (1024, 640)])
@pytest.mark.parametrize("paint", [(0, 0, 0), (128, 128, 128), (255, 20, 130)])
def test_pictures_are_what_they_say(media_type: str, size: tuple[int, int], paint: tuple[int, int, int]) -> None:
    data = picture(media_type, *size, paint)
    assert (image_type(data), image_size(data)) == (media_type, size)
    assert image_size(data[:14]) is None


def test_a_clip_states_its_length() -> None:
    data = clip(8000, (1, 2, 3))
    assert data[4:8] == b"ftyp"
    assert (8000).to_bytes(4, "big") in data
