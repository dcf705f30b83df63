"""A provider of your own in one file: how to call it, and what its errors mean.

    python examples/custom_provider.py

Acme's API looks like OpenAI's chat completions, at another path and with another header for the key. A small server below
plays Acme, so that the example runs offline.
"""

import asyncio
import json

from pulse_gateway import Gateway, PulseError
from pulse_gateway.config import Config, ProviderConfig
from pulse_gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamRejected, UpstreamUnauthorized
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.http import Headers, HttpRequest


class Acme(Provider):
    """Source: https://docs.acme.example/api (read 2026-11-24)"""

    kind = "acme"
    dialect = "openai.chat"  # what goes over the wire; translation from and to every other dialect comes with it
    base_url = "https://api.acme.example"

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        deployment = call.deployment
        headers = (("content-type", "application/json"), ("x-acme-token", deployment.key or ""), *call.trace_headers)
        return HttpRequest("POST", f"{deployment.base_url}/talk", headers, call.body)

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        return HttpRequest("GET", f"{base_url}/health", (("x-acme-token", key or ""), *headers))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        if status == 498:
            return UpstreamOverloaded("Acme has no capacity", upstream_status=status)  # tried again
        if status in {401, 403}:
            return UpstreamUnauthorized("Acme refused the gateway's credentials", upstream_status=status)
        return UpstreamRejected("Acme refused the request", upstream_status=status)


async def acme_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers anything with one sentence; busy at the first call."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    )
    asked = json.loads(await reader.readexactly(length))
    acme_server.calls = getattr(acme_server, "calls", 0) + 1  # type: ignore[attr-defined]
    busy = acme_server.calls == 1  # type: ignore[attr-defined]
    message = {"role": "assistant", "content": f"Acme heard: {asked['messages'][-1]['content']}"}
    answer = {
        "id": "acme-1",
        "object": "chat.completion",
        "created": 0,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }
    body = b"{}" if busy else json.dumps(answer).encode()
    status = b"498 Busy" if busy else b"200 OK"
    writer.write(
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        % (status, len(body))
    )
    writer.write(body)
    await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(acme_server, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = Config(providers={"acme": ProviderConfig(key="secret", base_url=address)})
    async with server, Gateway(config, providers={"acme": Acme()}) as gateway:
        try:
            reply = await gateway.chat(
                model="acme:roadrunner-2", messages=[{"role": "user", "content": "هل تسمعني؟"}], user="u1"
            )
            print(reply.text, reply.usage)
        except PulseError as error:
            print("failed:", error.code, error.message)


if __name__ == "__main__":
    asyncio.run(main())
