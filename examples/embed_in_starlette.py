"""The gateway behind a route of another web framework: an OpenAI-compatible endpoint with that framework's own login.

    pip install starlette uvicorn
    uvicorn examples.embed_in_starlette:app

The caller is whoever your application says it is; Pulse limits, meters and answers in OpenAI's dialect, errors included.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pulse_gateway import Gateway, Inbound, Reply


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with Gateway.from_env() as gateway:
        app.state.gateway = gateway
        yield


async def chat(request: Request) -> Response:
    gateway: Gateway = request.app.state.gateway
    user = request.headers.get("x-my-user", "guest")  # your own authentication goes here
    inbound = Inbound(dialect="openai.chat", body=await request.body(), principal=gateway.principal(user, "starter"))
    reply = await gateway.handle(inbound)
    if reply.stream is None:
        return Response(reply.body, reply.status, dict(reply.headers))
    return StreamingResponse(relay(reply), reply.status, dict(reply.headers))


async def relay(reply: Reply) -> AsyncIterator[bytes]:
    async with reply:  # leaving it settles what was used, also when the client goes away
        async for piece in reply:
            yield piece


app = Starlette(routes=[Route("/ask", chat, methods=["POST"])], lifespan=lifespan)
