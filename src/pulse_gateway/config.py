"""Every setting, as frozen structs decoded from TOML. Nothing here reads a file or the environment.

Unknown keys are refused; `decode` names the nearest valid one. Secrets are references (`env:NAME`, `file:PATH`) that
`environment.py` resolves.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pulse_gateway.catalog.settings import CapabilitiesConfig, ModelConfig, PriceConfig
from pulse_gateway.errors import ConfigError
from pulse_gateway.explained import explained
from pulse_gateway.rate_text import parse_rate
from pulse_gateway.transport.settings import FetchConfig, NetworkConfig
from pulse_gateway.types.http import Timeouts
from pulse_gateway.types.identity import Allowance, Plan, Rate

__all__ = [
    "AliasConfig",
    "AllowanceConfig",
    "CapabilitiesConfig",
    "Config",
    "FetchConfig",
    "HookConfig",
    "LimitsConfig",
    "ModelConfig",
    "ModelLimitsConfig",
    "ModerationConfig",
    "NetworkConfig",
    "PlanConfig",
    "PriceConfig",
    "ProviderConfig",
    "RetriesConfig",
    "ServerConfig",
    "StoresConfig",
    "TargetConfig",
    "TelemetryConfig",
    "WithoutRedisConfig",
    "allowance",
    "decode",
    "nano_usd",
    "parse_rate",
    "rate",
]

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(gt=0)]
PositiveSeconds = Annotated[float, Meta(gt=0)]
Amount = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # what Redis compares exactly


class ServerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `pulse serve` listens and stops."""

    host: Annotated[str, Meta(description="address to bind")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="TCP port; 0 takes a free one")] = 8000
    drain_s: Annotated[float, Meta(ge=0, description="after SIGTERM, how long running streams may go on")] = 30.0
    max_body_bytes: Annotated[Positive, Meta(description="largest request body; beyond it 413")] = 20_000_000
    keep_alive_s: Annotated[
        PositiveSeconds, Meta(description="a stream silent for this long gets a keep-alive, where the dialect has one")
    ] = 15.0
    public_url: Annotated[str | None, Meta(description="the address users reach, for links")] = None
    trusted_proxies: Annotated[
        list[str],
        Meta(
            description="proxies whose `X-Forwarded-For` is believed: addresses, networks such as `10.0.0.0/8`, or `unix`; of others it is not read"
        ),
    ] = []
    ready_without_postgres: Annotated[
        bool,
        Meta(
            description="whether /ready answers 200 while Postgres is away: known keys go on working and usage waits in the journal; without it a load balancer takes the server out"
        ),
    ] = False
    expose_operations: Annotated[bool, Meta(description="serve /metrics, /docs and /openapi.json on this port")] = True


class StoresConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where state lives."""

    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL, `postgresql://user:password@host/database`; may be a secret reference"),
    ] = None
    redis_url: Annotated[
        str | None,
        Meta(
            description="Redis ≥ 6.2 or Valkey: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:26379,host2:26379/master`, `redis+cluster://host:6379`; may be a secret reference"
        ),
    ] = None
    redis_prefix: Annotated[
        str, Meta(description="what every key in Redis begins with", pattern="^[A-Za-z0-9._-]+$")
    ] = "pulse"
    journal_dir: Annotated[
        str,
        Meta(
            description="where usage is written before it is in Postgres; on a disk that outlives the process. Each process takes a folder of its own in it"
        ),
    ] = ".pulse/journal"
    journal_max_mb: Annotated[
        Positive, Meta(description="size in megabytes from which on new work is refused, per process")
    ] = 256
    journal_sync_ms: Annotated[
        Positive, Meta(description="how often the journal is forced to the disk: what a crash of the machine may cost")
    ] = 50


class ProviderConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One upstream account. The table's name is the provider's name in `provider:model`."""

    kind: Annotated[
        str | None,
        Meta(
            description="how to speak to it: `openai`, `anthropic`, `google`, `openai_compatible`, `groq` …, or `package.module:NAME`; default: the table's name"
        ),
    ] = None
    key: Annotated[str | None, Meta(description="API key, as a secret reference")] = None
    webhook_secret: Annotated[
        str | None,
        Meta(
            description="what the provider signs its calls of `/v1/webhooks/NAME` with (`whsec_…`), as a secret reference; default: asked of the provider"
        ),
    ] = None
    base_url: Annotated[
        str | None, Meta(description="default: the vendor's; in the form the vendor's own SDK takes")
    ] = None
    headers: Annotated[dict[str, str], Meta(description="sent with every call; values may be secret references")] = {}
    timeouts: Annotated[Timeouts, Meta(description="of each phase of a call")] = Timeouts()
    proxy: Annotated[str | None, Meta(description="HTTP proxy for this provider, `http://host:port`")] = None
    bucket: Annotated[
        Annotated[str, Meta(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^?#\s]*)?(\?[^#\s]*)?$")] | None,
        Meta(
            description="where a provider that keeps no files puts what it makes: `s3://bucket/folder`, for Bedrock's videos. `?region=` and `?endpoint=` where they are not those of `base_url` and Amazon"
        ),
    ] = None
    transport: Annotated[
        Literal["http1", "httpx", "http2"] | None,
        Meta(
            description="the client that carries its requests: `http1`, Pulse's own, `httpx`, or `http2`, which is httpx with HTTP/2 where the provider speaks it; default: `httpx` where a proxy is set, else `http1`"
        ),
    ] = None
    warm_connections: Annotated[
        int, Meta(ge=0, description="connections opened at the start and kept open, per process; for `http1` alone")
    ] = 0
    abandoned: Annotated[
        Literal["abort", "drain"],
        Meta(
            description="when a client leaves mid-stream: stop the provider and estimate, or read on to its usage frame"
        ),
    ] = "abort"

    def __repr__(self) -> str:
        """Without the key and the headers, which may hold one."""
        return f"ProviderConfig(kind={self.kind!r}, base_url={self.base_url!r})"


class TargetConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One target of an alias."""

    target: Annotated[str, Meta(description="`provider:model`")]
    weight: Annotated[Positive, Meta(description="share of the traffic under the strategy `weighted`")] = 1


class AliasConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model name of your own. The table's name is what clients send."""

    targets: Annotated[
        list[str | TargetConfig], Meta(min_length=1, description="`provider:model`, or tables with a weight")
    ]
    strategy: Annotated[Literal["ordered", "weighted"], Meta(description="which target comes first")] = "ordered"
    fallbacks: Annotated[
        list[str], Meta(description="`provider:model`, tried in order once every target has failed")
    ] = []
    timeouts: Annotated[Timeouts | None, Meta(description="instead of the provider's")] = None
    price: Annotated[PriceConfig | None, Meta(description="instead of the catalog's, for every target")] = None


RateText = Annotated[str, Meta(description="amount/time such as `60/60s` or `100000/m`; `off`: none")]
Policy = Literal["closed", "open", "local"]
BudgetUSD = Annotated[
    float, Meta(ge=0, le=9_000_000)
]  # beyond it nano-dollars leave the integers that Redis compares exactly


class AllowanceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one API key, or of one tenant, that has none of its own."""

    requests: Annotated[
        RateText, Meta(description="requests, an exact sliding window: `1000/60s`; `off`: no limit")
    ] = "off"
    tokens: Annotated[
        RateText, Meta(description="input and output tokens, a sliding window: `100000/60s`; `off`: no limit")
    ] = "off"
    concurrency: Annotated[Positive | None, Meta(description="calls at once")] = None
    budget_usd: Annotated[
        BudgetUSD | None, Meta(description="USD per calendar month (UTC); alerts at 80 % and 100 %")
    ] = None


class ModelLimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on the calls of one model. The table's name is the alias, `provider:model`, or the model."""

    requests: Annotated[RateText, Meta(description="requests, an exact sliding window; `off`: no limit")] = "off"
    tokens: Annotated[RateText, Meta(description="input and output tokens, a sliding window; `off`: no limit")] = "off"
    concurrency: Annotated[Positive | None, Meta(description="calls at once")] = None
    per: Annotated[Literal["user", "tenant"], Meta(description="whose calls are counted together")] = "user"


class WithoutRedisConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a limit does while Redis does not answer.

    `closed` refuses with 503, `open` lets through and still records, `local` counts in this process, up to its share of the limit.
    """

    requests: Annotated[Policy, Meta(description="requests per window")] = "local"
    tokens: Annotated[Policy, Meta(description="tokens per window")] = "local"
    concurrency: Annotated[Policy, Meta(description="calls at once")] = "local"
    quotas: Annotated[
        Policy,
        Meta(
            description="monthly tokens; `local`: the ledger's balance and what this process holds, at most two calls of a user at once"
        ),
    ] = "local"
    media: Annotated[Policy, Meta(description="monthly images and videos")] = "closed"
    budgets: Annotated[Policy, Meta(description="money; `local` as for quotas")] = "local"


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one user may do, whatever the plan, and where that is counted. `limits = "local"` alone is short for `store`."""

    requests: Annotated[
        RateText, Meta(description="requests per user, an exact sliding window: `60/60s`; `off` disables")
    ] = "60/60s"
    tokens: Annotated[
        RateText, Meta(description="tokens per user, a sliding window: `100000/60s`; `off`: no limit")
    ] = "off"
    concurrency: Annotated[Positive | None, Meta(description="calls of a user at once")] = None
    running_videos: Annotated[Positive, Meta(description="videos of a user that are being made at once")] = 10
    default_output_tokens: Annotated[
        Positive, Meta(description="held for the answer when the request sets no limit of its own")
    ] = 4096
    key: Annotated[AllowanceConfig, Meta(description="every API key that has no limits of its own")] = AllowanceConfig()
    tenant: Annotated[AllowanceConfig, Meta(description="every tenant that has none of its own")] = AllowanceConfig()
    models: Annotated[dict[str, ModelLimitsConfig], Meta(description="by model")] = {}
    anonymous: Annotated[
        RateText,
        Meta(
            description="requests without a valid key, per client address and process; beyond it 429; `off`: no limit"
        ),
    ] = "600/60s"
    store: Annotated[
        Literal["redis", "local"],
        Meta(description="`local`: counted in the one process of a single-node server, without Redis"),
    ] = "redis"
    lease_s: Annotated[
        PositiveSeconds, Meta(description="after a process has died, when what it held is given back")
    ] = 60.0
    deadline_ms: Annotated[Positive, Meta(description="longest wait for Redis")] = 100
    replicas: Annotated[
        Positive | None,
        Meta(description="gateways that share the limits, for `local`; default: as many as Redis has seen of late"),
    ] = None
    unpriced: Annotated[
        Literal["refuse", "allow"],
        Meta(
            description="what becomes of a call that a budget in money applies to, of a model without a known price: 403, or let through and counted as free"
        ),
    ] = "refuse"
    without_redis: WithoutRedisConfig = WithoutRedisConfig()


class PlanConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Monthly quotas (UTC calendar month), and limits instead of those in `[limits]`. Left out: no cap; usage is counted all the same."""

    tokens: Annotated[Amount | None, Meta(description="input and output tokens together")] = None
    images: Annotated[Amount | None, Meta(description="images")] = None
    videos: Annotated[Amount | None, Meta(description="videos")] = None
    budget_usd: Annotated[BudgetUSD | None, Meta(description="USD; alerts at 80 % and 100 %")] = None
    requests: Annotated[RateText | None, Meta(description="requests of a user, instead of `limits.requests`")] = None
    token_rate: Annotated[RateText | None, Meta(description="tokens of a user, instead of `limits.tokens`")] = None
    concurrency: Annotated[Positive | None, Meta(description="calls of a user at once")] = None


class HookConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One moderation hook."""

    name: Annotated[str, Meta(description="`terms` is built in; `package.module:Class` loads your own")]
    on: Annotated[list[Literal["prompt", "answer"]], Meta(min_length=1, description="where it runs")] = msgspec.field(
        default_factory=lambda: ["prompt", "answer"]
    )
    failure: Annotated[
        Literal["refuse", "allow"], Meta(description="what an error or a time-out of the hook means")
    ] = "refuse"
    timeout_s: Annotated[PositiveSeconds, Meta(description="time for one review")] = 1.0
    block_severity: Annotated[
        Literal["medium", "high"], Meta(description="`terms`: the lowest severity that blocks")
    ] = "high"
    file: Annotated[str | None, Meta(description="`terms`: a term list of your own instead of the built-in one")] = None
    extra_terms: Annotated[list[str], Meta(description="`terms`: more terms, blocked always")] = []
    exemptions: Annotated[list[str], Meta(description="`terms`: words never to block")] = []


class ModerationConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hooks that review prompts and answers, in order; the first refusal wins."""

    hooks: Annotated[list[HookConfig], Meta(description="none by default")] = []
    hold_chars: Annotated[
        Positive, Meta(description="how many characters of a streamed answer are held back for review")
    ] = 200


class RetriesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens before the first byte of an answer has reached the client. Nothing is retried after it."""

    attempts: Annotated[
        Positive,
        Meta(
            description="upstream calls per request at most, first ones and fallbacks included; in an outage a budget of one retry for ten requests, plus one a second, makes it fewer"
        ),
    ] = 3
    base_s: Annotated[PositiveSeconds, Meta(description="full jitter: a random wait up to base_s · 2ⁿ")] = 0.5
    max_wait_s: Annotated[
        PositiveSeconds, Meta(description="longest such wait; a provider's Retry-After may be longer")
    ] = 8.0
    total_s: Annotated[PositiveSeconds, Meta(description="one deadline over all attempts and the whole answer")] = 600.0


class TelemetryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logs and traces."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="lowest level written")] = (
        "info"
    )
    log_format: Annotated[
        Literal["json", "console"] | None,
        Meta(description="default: `json` when stdout is no terminal, else `console`"),
    ] = None
    traces_sample: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of the traces that start here which is exported, where an exporter is set; a caller's `traceparent` decides for its own",
        ),
    ] = 0.01


DEFAULT_PLANS = {
    "unlimited": PlanConfig(),
    "starter": PlanConfig(tokens=150_000, images=10, videos=2),
    "pro": PlanConfig(tokens=400_000, images=30, videos=5),
    "creator": PlanConfig(tokens=1_000_000, images=60, videos=10),
}


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    stores: StoresConfig = StoresConfig()
    providers: dict[str, ProviderConfig] = {}
    models: dict[str, AliasConfig] = {}
    catalog: dict[str, ModelConfig] = {}
    default_model: Annotated[
        str | None, Meta(description="alias or `provider:model` for names that nothing else matches; default: 404")
    ] = None
    limits: LimitsConfig = LimitsConfig()
    plans: Annotated[dict[str, PlanConfig], Meta(description="added to, or replacing, the built-in plans")] = {}
    default_plan: Annotated[str, Meta(description="plan of users that name none")] = "unlimited"
    moderation: ModerationConfig = ModerationConfig()
    retries: RetriesConfig = RetriesConfig()
    fetch: FetchConfig = FetchConfig()
    network: NetworkConfig = NetworkConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    def plan_named(self, name: str) -> str | None:
        """The plan's own spelling of `name`, whatever its case; None when there is none."""
        plans = self.plan_table()
        return name if name in plans else next((each for each in plans if each.casefold() == name.casefold()), None)

    def plan_table(self) -> dict[str, Plan]:
        """Every plan by name, the built-in ones included."""
        merged = {**DEFAULT_PLANS, **self.plans}
        return {
            name: Plan(
                name=name,
                tokens=plan.tokens,
                images=plan.images,
                videos=plan.videos,
                allowance=Allowance(
                    requests=rate(plan.requests, f"plans.{name}.requests"),
                    tokens=rate(plan.token_rate, f"plans.{name}.token_rate"),
                    concurrency=plan.concurrency,
                    budget_nano_usd=nano_usd(plan.budget_usd),
                ),
            )
            for name, plan in merged.items()
        }


def allowance(config: AllowanceConfig, key: str) -> Allowance:
    """`config` as numbers; `key` names its table in errors.

    Raises: ConfigError.
    """
    return Allowance(
        requests=rate(config.requests, f"{key}.requests"),
        tokens=rate(config.tokens, f"{key}.tokens"),
        concurrency=config.concurrency,
        budget_nano_usd=nano_usd(config.budget_usd),
    )


def rate(text: str | None, key: str) -> Rate:
    """As `parse_rate`, where "off" is said and None is not.

    Raises: ConfigError.
    """
    return None if text is None else parse_rate(text, key) or "off"


def nano_usd(amount: float | None) -> int | None:
    """Dollars as they are written in decimal, in nano-USD."""
    return None if amount is None else int((Decimal(str(amount)) * 1_000_000_000).to_integral_value())


_LIMIT_STORES = ("redis", "local")


def decode(text: str, source: str) -> Config:
    """The settings in `text` (TOML); `source` names the file in errors. `limits = "local"` is short for its `store`.

    Raises: ConfigError naming the key, the file and the fix.
    """
    try:
        written = msgspec.toml.decode(text)
        if written.get("limits") in _LIMIT_STORES:  # a word, where nothing else is to be said of them
            written["limits"] = {"store": written["limits"]}
        return msgspec.convert(written, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {explained(str(error), Config)}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from error
