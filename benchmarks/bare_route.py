"""The yardstick: a Litestar route that returns a constant, on the same server and event loop as Pulse."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from litestar import Litestar, post

BODY: dict[str, Any] = {"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "hi"}}]}


@post("/v1/chat/completions", status_code=200)
async def constant() -> dict[str, Any]:
    return BODY


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    app = Litestar([constant], openapi_config=None, logging_config=None)
    config = uvicorn.Config(app, http="httptools", loop="uvloop", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
