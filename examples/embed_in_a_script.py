"""The gateway inside a plain asyncio program: no server, no database, nothing to set up.

    python examples/embed_in_a_script.py

With OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY set, pass one of their models as the first argument.
"""

import asyncio
import sys

from pulse_gateway import Gateway


async def main(model: str) -> None:
    question = [{"role": "user", "content": "قل مرحبا بالعربية"}]
    async with Gateway.from_env() as gateway:
        reply = await gateway.chat(model=model, messages=question, user="u1", plan="starter")
        print(reply.text, reply.usage, reply.cost)

        async for event in gateway.stream(model=model, messages=question, user="u1", plan="starter"):
            print(event.text, end="")
        print()

        for standing in await gateway.usage(gateway.principal("u1", "starter")):
            print(f"{standing.kind}: {standing.used} used, {standing.remaining} left")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "echo"))
