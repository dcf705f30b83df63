"""What a request says and shows: counted, digested, and looked into if it is no text."""

from __future__ import annotations

from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.media import data_url, image_type
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.prompt import Media
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["IMAGE_FORMATS", "Intake", "decoded"]

IMAGE_FORMATS = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Intake:
    """Everything is taken once, in reading order; paths are where it stands in the request, for refusals."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._texts: list[str] = []
        self._media: list[Media] = []

    @property
    def said(self) -> str:
        """All of the text, lower-case."""
        return "\n".join(self._texts).lower()

    @property
    def tokens(self) -> int:
        return self._tally.tokens

    def _say(self, text: str) -> None:
        self._texts.append(text)
        self._tally.text(text)

    def _see(self, kind: str, label: str, data: bytes) -> None:
        self._media.append(Media(kind, label))
        self._tally.media(data)

    def _image(self, url: str, path: str) -> None:
        """Raises: Refusal for bytes that are no image, and for an address that is none."""
        if url.startswith(("https://", "http://")):
            self._see("image", url, url.encode())
            return
        inline = data_url(url)
        if inline is None:
            raise refuse(
                f"Invalid '{path}': expected an https URL or a base64 data URL.", code="invalid_value", param=path
            )
        data = decoded(inline[1], path)
        found = image_type(data)
        if found not in IMAGE_FORMATS:
            raise refuse(
                "You uploaded an unsupported image. Please make sure your image has one of the following formats: "
                "['png', 'jpeg', 'gif', 'webp'].",
                code="invalid_image_format",
                param=path,
            )
        self._see("image", f"{found} {len(data)} bytes", data)

    def _audio(self, data: str, audio_format: str, path: str) -> None:
        clip = decoded(data, path)
        self._see("audio", f"{audio_format} {len(clip)} bytes", clip)

    def _file(self, file_data: str | None, file_id: str | None, path: str) -> None:
        """Raises: Refusal for a file that is neither here nor named."""
        if file_id:
            self._see("document", file_id, file_id.encode())
            return
        inline = data_url(file_data) if file_data else None
        if inline is None:
            raise refuse(
                f"Invalid '{path}': expected 'file_id', or 'file_data' with a base64 data URL.",
                code="invalid_value",
                param=path,
            )
        data = decoded(inline[1], f"{path}.file_data")
        self._see("document", f"{inline[0]} {len(data)} bytes", data)


def decoded(text: str, path: str) -> bytes:
    """Raises: Refusal for what is not base64, or nothing."""
    data = decode_base64(text)
    if not data:
        raise refuse(f"Invalid base64 in '{path}'.", code="invalid_base64", param=path)
    return data
