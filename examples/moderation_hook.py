"""A moderation hook of your own: a class with a name and a `review`.

    python examples/moderation_hook.py

It sees prompts before anything is sent, and answers before they are let go, streamed ones too.
"""

import asyncio
import re

from pulse_gateway import ALLOWED, Content, Gateway, PulseError, Verdict

IBAN = re.compile(r"\bJO\d{2}[A-Z]{4}\d{4}[A-Z0-9]{18}\b")


class NoBankAccounts:
    """Refuses Jordanian bank account numbers, in either direction."""

    name = "no-bank-accounts"

    async def review(self, content: Content, /) -> Verdict:
        if IBAN.search(content.text):
            return Verdict(allowed=False, category="bank account number")
        return ALLOWED


async def main() -> None:
    async with Gateway.from_env(moderators=[NoBankAccounts()]) as gateway:
        for text in ("ما هو رقم الحساب المصرفي الدولي؟", "Send it to JO94CBJO0010000000000131000302"):
            try:
                reply = await gateway.chat(model="echo", messages=[{"role": "user", "content": text}], user="u1")
                print("answered:", reply.text)
            except PulseError as error:
                print("refused:", error.code, error.message)


if __name__ == "__main__":
    asyncio.run(main())
