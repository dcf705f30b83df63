"""How a request to a provider begins, and what is not written."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import UpstreamProtocolError, UpstreamUnreachable
from pulse_gateway.transport.http1.request_head import head_of, read_url


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "named"),
    [
        ("https://api.openai.com/v1/chat", "api.openai.com", 443, "/v1/chat", "api.openai.com"),
        ("http://H.example:80?q=1", "h.example", 80, "/?q=1", "h.example"),
        ("https://h.example:8443/#part", "h.example", 8443, "/", "h.example:8443"),
        ("https://user:word@h.example/", "h.example", 443, "/", "h.example"),
        ("http://[::1]:8080/a", "::1", 8080, "/a", "[::1]:8080"),
        ("http://b\u00fccher.example/a b/\u00e9?x= \u00e9", "xn--bcher-kva.example", 80, "/a%20b/%C3%A9?x=%20%C3%A9", "xn--bcher-kva.example"),
        ("https://h.example./v1/m:gen?alt=sse&k=a%2Fb", "h.example", 443, "/v1/m:gen?alt=sse&k=a%2Fb", "h.example."),
    ],
)  # fmt: skip
def test_a_url_says_where_to_go_and_what_to_ask(url: str, host: str, port: int, path: str, named: str) -> None:
    target = read_url(url)
    assert (target.origin.host, target.origin.port, target.path, target.host) == (host, port, path, named)


@pytest.mark.parametrize("url", ["ftp://h.example/", "h.example", "file:///etc/passwd"])
def test_another_scheme_leads_nowhere(url: str) -> None:
    with pytest.raises(UpstreamUnreachable):
        read_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///a", "http://a b/", "http://h.example:0/", "http://.h/", "http://a\u2028b/", "http://h\n/"],
)
def test_an_address_that_cannot_be_written_is_refused(url: str) -> None:
    with pytest.raises(UpstreamProtocolError):
        read_url(url)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET /", ()),
        ("GET", (("x y", "1"),)),
        ("GET", (("x:", "1"),)),
        ("GET", (("", "1"),)),
        ("GET", (("x\r\ny", "1"),)),
        ("GET", (("host", "a\r\nb: c"),)),
        ("POST", (("content-length", "3"),)),
        ("POST", (("content-length", "2\r\nx: y"),)),
        ("POST", (("Transfer-Encoding", "chunked"),)),
    ],
)
def test_a_head_that_says_something_else_than_is_sent_is_refused(
    method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    for _ in range(2):  # what was met before is not believed either
        with pytest.raises(UpstreamProtocolError):
            head_of(read_url("http://h.example"), method, headers, length=2)


def test_a_tab_within_a_header_is_carried() -> None:
    assert b"x: a\tb\r\n" in head_of(read_url("http://h.example"), "GET", (("x", "a\tb"),), length=0).data


def test_a_head_whose_like_was_written_before_is_the_same() -> None:
    """By another path, which judges the values alone."""
    target = read_url("http://h.example/a%20b")
    headers = (("x-100%s", "50 %d"), ("accept", "a"), ("accept", "b"), ("x-tab", "a\tb"))
    heads = [head_of(target, "P%T", headers, length=2).data for _ in range(3)]
    assert (
        heads
        == [
            b"P%T /a%20b HTTP/1.1\r\nhost: h.example\r\naccept-encoding: identity\r\n"
            b"x-100%s: 50 %d\r\naccept: a\r\naccept: b\r\nx-tab: a\tb\r\ncontent-length: 2\r\n\r\n"
        ]
        * 3
    )
    other = head_of(read_url("http://o.example/"), "P%T", headers[:3], length=7).data
    again = head_of(read_url("http://o.example/"), "P%T", (("x-100%s", ""), *headers[1:3]), length=7).data
    assert again == other.replace(b" 50 %d", b" ")


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\x00", "\xe9", "\u2028", "\ud800", "\x7f", "\x1f", "\r"])
def test_a_value_is_judged_although_its_name_was_met_before(value: str) -> None:
    target = read_url("http://h.example/")
    assert head_of(target, "POST", (("x-met", "well"),), length=2)
    with pytest.raises(UpstreamProtocolError):
        head_of(target, "POST", (("x-met", value),), length=2)


@pytest.mark.parametrize("value", ['a "b"', "a\\b", "", "~ !", "a\tb"])
def test_what_may_be_said_is_said_the_second_time_too(value: str) -> None:
    target = read_url("http://h.example/")
    heads = [head_of(target, "POST", (("x-said", value),), length=2).data for _ in range(2)]
    assert heads[0] == heads[1] and f"x-said: {value}\r\n".encode() in heads[0]
