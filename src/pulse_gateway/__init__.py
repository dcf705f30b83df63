"""Pulse: an AI gateway as a library.

```python
from pulse_gateway import Gateway

async with Gateway.from_env() as gateway:
    reply = await gateway.chat(model="echo", messages=[{"role": "user", "content": "مرحبا"}], user="u1")
    print(reply.text, reply.usage, reply.cost)
```
"""

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError, PulseError
from pulse_gateway.gateway import Gateway
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.limits.limiter import Charge, Limiter, Permit, Standing
from pulse_gateway.moderation.moderator import ALLOWED, Content, Moderator, Verdict
from pulse_gateway.pipeline.exchange import Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.chat import ChatReply
from pulse_gateway.types.embeddings import EmbeddingReply
from pulse_gateway.types.events import Event
from pulse_gateway.types.identity import Plan, Principal
from pulse_gateway.types.moderations import ModerationReply
from pulse_gateway.types.rerank import RerankReply
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = [
    "ALLOWED",
    "Charge",
    "ChatReply",
    "Clock",
    "Config",
    "ConfigError",
    "Content",
    "EmbeddingReply",
    "Event",
    "ExchangeRecord",
    "Gateway",
    "Inbound",
    "Ledger",
    "Limiter",
    "ModerationReply",
    "Moderator",
    "Outcome",
    "Permit",
    "Plan",
    "Principal",
    "PulseError",
    "Reply",
    "RerankReply",
    "Standing",
    "SystemClock",
    "TokenCount",
    "Transport",
    "Usage",
    "UsageEntry",
    "UsageSource",
    "Verdict",
    "__version__",
]

__version__ = "0.1.0"
