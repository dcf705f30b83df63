"""Files that a request names by their URL, for a deployment that takes only their bytes."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterator

import msgspec

from pulse_gateway.errors import InvalidRequest, RequestTooLarge
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.steps import Downloader
from pulse_gateway.providers.offer import Download
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, DocumentPart, ImagePart, Message, Part, ToolResultPart
from pulse_gateway.types.http import Payload, header
from pulse_gateway.wire.codec import UpstreamCodec
from pulse_gateway.wire.media import media_type_of
from pulse_gateway.wire.picture import image_type

__all__ = ["Inline"]

_AT_ONCE = 4
_MOST_FILES = 100  # of a request: nobody shall make a flood of many small ones out of one
_HEIF = ("image/heic", "image/heif")
_PDF = "application/pdf"

FilePart = ImagePart | DocumentPart


class Inline:
    """Fetches them, each once for an exchange, however many deployments are tried. `max_bytes` is for all of a request together."""

    def __init__(self, download: Downloader, max_bytes: int) -> None:
        self._download, self._max_bytes = download, max_bytes

    async def __call__(self, exchange: Exchange, upstream: UpstreamCodec, model: Model) -> ChatRequest:
        """The request with bytes in place of every URL that `upstream` does not take.

        Raises: InvalidRequest with the path of the message, for a file that cannot be had or is not what it should be;
        RequestTooLarge.
        """
        request: ChatRequest = exchange.request

        def is_wanted(part: FilePart) -> bool:
            return part.url is not None and part.data is None and not upstream.takes_url(part, model)

        paths = {
            str(part.url): message.path for message in request.messages for part in _files(message) if is_wanted(part)
        }
        if not paths:
            return request
        if len(paths) > _MOST_FILES:
            path = next(iter(paths.values())) or "messages"
            raise InvalidRequest(f"more than {_MOST_FILES} files would have to be fetched for {model.name}", param=path)
        exchange.fetches = True  # from here on the request has cost something, whatever comes of it
        await self._fetch(exchange.fetched, paths)

        def with_bytes(part: Part, path: str) -> Part:
            if isinstance(part, ToolResultPart):
                return msgspec.structs.replace(part, parts=tuple(with_bytes(each, path) for each in part.parts))
            if isinstance(part, FilePart) and is_wanted(part):
                return _filled(part, exchange.fetched[str(part.url)], path)
            return part

        messages = tuple(
            msgspec.structs.replace(message, parts=tuple(with_bytes(part, message.path) for part in message.parts))
            if any(map(is_wanted, _files(message)))
            else message
            for message in request.messages
        )
        return msgspec.structs.replace(request, messages=messages)

    async def _fetch(self, fetched: dict[str, Payload], paths: dict[str, str]) -> None:
        """Everything of `paths` that is not yet there."""
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(url: str, path: str) -> None:
            async with turns:
                answer = await self._download(Download(url, path or "messages", self._max_bytes))
            fetched[url] = Payload(answer.body, header(answer.headers, "content-type") or "")
            if sum(len(file.data) for file in fetched.values()) > self._max_bytes:
                raise RequestTooLarge(f"the files of this request exceed {self._max_bytes} bytes together", param=path)

        try:
            async with asyncio.TaskGroup() as group:
                for url, path in paths.items():
                    if url not in fetched:
                        group.create_task(one(url, path))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the first one has ended the others


def _files(message: Message) -> Iterator[FilePart]:
    for part in message.parts:
        if isinstance(part, FilePart):
            yield part
        elif isinstance(part, ToolResultPart):
            yield from (each for each in part.parts if isinstance(each, FilePart))


def _filled(part: FilePart, file: Payload, path: str) -> FilePart:
    """Raises: InvalidRequest."""
    return _picture(part, file, path) if isinstance(part, ImagePart) else _document(part, file, path)


def _picture(part: ImagePart, file: Payload, path: str) -> ImagePart:
    """What the bytes are counts, not what a server says that they are."""
    kind = image_type(file.data)
    if kind is None and file.data[4:8] == b"ftyp":
        named = media_type_of(file.content_type) or part.media_type
        kind = named if named in _HEIF else None
    if kind is None:
        raise _wrong(path, "is no image of a known kind")
    return ImagePart(kind, b64encode(file.data).decode(), detail=part.detail)


def _document(part: DocumentPart, file: Payload, path: str) -> DocumentPart:
    """A PDF is known by its bytes. Of anything else the client's word on its kind counts, and then the server's."""
    is_pdf = b"%PDF-" in file.data[:1024]
    kind = _PDF if is_pdf else media_type_of(part.media_type) or media_type_of(file.content_type)
    if kind is None or (kind == _PDF and not is_pdf):
        raise _wrong(path, "is no PDF" if kind else "is of no known kind")
    if not kind.startswith("text/"):
        return DocumentPart(kind, b64encode(file.data).decode(), title=part.title)
    try:
        return DocumentPart(kind, text=file.data.decode("utf-8-sig"), title=part.title)
    except UnicodeDecodeError as error:
        raise _wrong(path, "is not UTF-8 text") from error


def _wrong(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: the file {reason}", param=path or "messages")
