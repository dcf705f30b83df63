"""Forms, taken apart and put together."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.wire.form_members import read_form
from pulse_gateway.wire.multipart import MAX_PARTS, FormPart, build_form, parse_form, set_field

KIND = "multipart/form-data; boundary=b"


def form(*parts: str, end: str = "--b--\r\n") -> Payload:
    return Payload(("".join(f"--b\r\n{part}\r\n" for part in parts) + end).encode("latin-1"), KIND)


def field(name: str, value: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


def test_a_form_that_was_built_has_the_parts_it_was_built_of() -> None:
    parts = [
        FormPart(name="model", data=b"whisper-1"),
        FormPart(name='odd "name"\r\n', data=b"\r\n--\x00\xff"),
        FormPart(name="file", data=b"", filename="ملف.wav", content_type="audio/wav"),
    ]
    found = parse_form(build_form(parts))
    assert [(part.name, bytes(part.data), part.filename, part.content_type) for part in found] == [
        (part.name, part.data, part.filename, part.content_type) for part in parts
    ]
    assert build_form(parts) == build_form(parts)
    assert build_form(parts) != build_form(parts[:2])


@pytest.mark.parametrize("kind", ["image/png\r\nx-other: 1", "image/png\n\n", "image/صورة"])
def test_a_media_type_is_one_header_and_no_more(kind: str) -> None:
    with pytest.raises(InvalidRequest):
        build_form([FormPart(name="file", data=b"x", filename="a", content_type=kind)])


def test_a_field_is_rewritten_where_it_stands_whatever_it_said_of_its_length() -> None:
    payload = form(
        field("prompt", "a"),
        'Content-Length: 3\r\nContent-Disposition: form-data; name="model"\r\n\r\nold',
        field("n", "2"),
    )
    rewritten = set_field(payload, "model", "a-new-name")
    assert [(part.name, part.text()) for part in parse_form(rewritten)] == [
        ("prompt", "a"),
        ("model", "a-new-name"),
        ("n", "2"),
    ]
    assert set_field(payload, "model", "old") is payload


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (Payload(b"", KIND), "does not begin"),
        (Payload(b"x\r\n--b--", KIND), "does not begin"),
        (Payload(b"--b\r\n", KIND), "cannot be read"),
        (Payload(b"{}", "application/json"), "expected a form"),
        (Payload(b"--b--", "multipart/form-data"), "boundary"),
        (Payload(b"--b--", 'multipart/form-data; boundary="' + "b" * 300 + '"'), "boundary"),
        (form(field("a", "1"), end="--b--\r\nmore"), "follows the end"),
        (form("\r\n1"), "Content-Disposition"),
        (form('Content-Disposition: form-data; name="x"; name="model"\r\n\r\n1'), "name of a part"),
        (form("Content-Disposition: form-data; name=a@b\r\n\r\n1"), "name of a part"),
        (form("Content-Disposition: form-data; name=\"a\"; name*=utf-8''model\r\n\r\n1"), "name of a part"),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Type: a/b\rX: y\r\n\r\n1'), "control characters"),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Type: a/b\x0bc\r\n\r\n1'), "control characters"),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n1'), "occurs twice"),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ=='), "without a coding"),
        (form('Content-Disposition: form-data; name="a"\r\nContent-Length: 7\r\n\r\n1'), "Content-Length"),
        (form(*(field("a", "1") for _ in range(MAX_PARTS + 1))), "segment count"),
        (form(field("x" * 5000, "1")), "header length"),
    ],
)  # fmt: skip
def test_a_form_that_two_readers_could_understand_in_two_ways_is_refused(payload: Payload, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        parse_form(payload)


@pytest.mark.parametrize("parts", [(), (field("model", "a"), field("model", "b"))])
def test_a_field_is_rewritten_only_if_there_is_exactly_one(parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="model: "):
        set_field(form(field("n", "1"), *parts), "model", "x")


def test_a_form_reads_as_the_object_it_stands_for() -> None:
    members = read_form(
        form(
            field("n", "2"), field("speed", "1.5"), field("stream", "True"), field("include[]", "a"), field("include[]", "b"),
            field("svg[model]", "m"), field("svg[reasoning][effort]", "low"), field("one[]", "c"),
        )
    )  # fmt: skip
    assert (members.integer("n"), members.number("speed"), members.flag("stream")) == (2, 1.5, True)
    assert (members.strings("include"), members.strings("one")) == (("a", "b"), ("c",))
    assert members.leftovers() == ({"svg": {"model": "m", "reasoning": {"effort": "low"}}}, {})


@pytest.mark.parametrize(
    "parts",
    [
        (field("a", "1"), field("a[b]", "2")),
        (field("a[b]", "1"), field("a", "2")),
        (field("a[b]", "1"), field("a[]", "2")),
        (field("a[][b]", "1"),),
        (field("a[b][c][d]", "1"),),
        (field("[a]", "1"),),
        (field("a]", "1"),),
    ],
)
def test_a_name_that_is_two_things_at_once_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        read_form(form(*parts))


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("n", "two", "integer"),
        ("n", "1e400", "number"),
        ("n", "nan", "number"),
        ("n", "maybe", "flag"),
        ("n", "٢", "integer"),
    ],
)
def test_a_number_or_a_flag_that_is_none_is_refused_by_name(name: str, value: str, read: str) -> None:
    members = read_form(Payload(form(field(name, "#")).data.replace(b"#", value.encode()), KIND))
    with pytest.raises(InvalidRequest) as caught:
        getattr(members, read)(name)
    assert caught.value.param == "n"


def test_the_names_that_files_have_on_a_mac_and_in_arabic_are_taken() -> None:
    name = "\u0644\u0642\u0637\u0629 10.00.00\u202fAM.png"
    head = f'Content-Disposition: form-data; name="image"; filename="{name}"\r\nContent-Type:\timage/png'
    [part] = parse_form(Payload(f"--b\r\n{head}\r\n\r\n1\r\n--b--\r\n".encode(), KIND))
    assert (part.filename, part.content_type) == (name, "image/png")
