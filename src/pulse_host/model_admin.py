"""`GET /v1/admin/models`: everything that is known of models, for operators."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.params import Parameter

from pulse_gateway.catalog.cost import price_version
from pulse_gateway.catalog.rows import Origin
from pulse_gateway.errors import InvalidRequest, PermissionDenied
from pulse_gateway.gateway import Gateway
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.routing.router import Router
from pulse_gateway.types.catalog import Capabilities, Model, Price, Rates
from pulse_gateway.types.identity import Principal
from pulse_gateway.units import usd
from pulse_host.anonymous import AnonymousLimit
from pulse_host.ingress import authenticated
from pulse_host.request_head import credential_of, request_id_of

__all__ = ["AdminModel", "AdminModels", "AdminPrice", "admin_models", "admin_models_route", "require_scope"]

ADMIN = "admin"
_ON_A_PAGE, _MOST_ON_A_PAGE = 100, 1_000


class AdminPrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Exact decimals of US dollars. `per_million_tokens` by class of token; `long_context` instead, for the whole request, above so
    many tokens of input; `image` and `video_second` by variant, `""` stands for every other; `characters` for a million of them.

    `version` is what entries of the ledger name; `source` says where the numbers come from, `as_of` when they were read.
    """

    version: str
    source: str
    as_of: str
    per_million_tokens: dict[str, str]
    long_context_above_tokens: int | None = None
    long_context: dict[str, str] = {}
    image: dict[str, str] = {}
    video_second: dict[str, str] = {}
    audio_minute: str | None = None
    characters: str | None = None
    search: str | None = None


class AdminModel(msgspec.Struct, frozen=True, kw_only=True):
    """`provider` is the configured one, or a vendor that could be; `on`: it is switched on. `price` null: none is known.
    `source` says where the row is from, `as_of` when it was read there.
    """

    id: str
    provider: str
    name: str
    on: bool
    operations: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    price: AdminPrice | None
    context_tokens: int | None
    max_output_tokens: int | None
    dimensions: int | None
    capabilities: dict[str, Any]
    start: str | None
    shutdown: str | None
    source: str
    as_of: str
    note: str | None


class AdminModels(msgspec.Struct, frozen=True, kw_only=True):
    """A page. `last_id` is what `after` takes for the next one."""

    data: list[AdminModel]
    has_more: bool
    last_id: str | None
    object: str = "list"


def require_scope(principal: Principal, scope: str) -> None:
    """Raises: PermissionDenied unless the caller's key has it; nobody has it by default."""
    if scope not in principal.scopes:
        raise PermissionDenied(
            f"this needs a key with the scope {scope!r}; `pulse keys create --scope {scope}` makes one"
        )


def admin_models_route(gateway: Gateway, keys: Authenticator, anonymous: AnonymousLimit) -> Any:
    @get(
        "/v1/admin/models",
        summary="Everything that is known of models; needs a key with the scope admin",
        tags=["admin"],
    )
    async def every_model(
        request: Request[Any, Any, Any],
        provider: Annotated[str | None, Parameter(description="only this provider's")] = None,
        operation: Annotated[
            str | None, Parameter(description="only models for it, such as `chat` or `images`")
        ] = None,
        on: Annotated[
            str | None, Parameter(description="`true`: only providers that are switched on; `false`: only others")
        ] = None,
        after: Annotated[str | None, Parameter(description="`last_id` of the page before")] = None,
        limit: Annotated[
            str | None, Parameter(description=f"models on a page, {_ON_A_PAGE} unless given, at most {_MOST_ON_A_PAGE}")
        ] = None,
    ) -> Response[AdminModels]:
        # The parameters are described above and read below, where each mistake gets a name.
        headers = dict(request.headers.items())
        require_scope(await authenticated(request.scope, credential_of(headers), keys, anonymous), ADMIN)
        page = admin_models(gateway.router, request.query_params.dict())
        return Response(page, headers={"x-request-id": request_id_of(headers)})

    return every_model


def admin_models(router: Router, given: dict[str, list[str]]) -> AdminModels:
    """The page that the parameters ask for. Raises: InvalidRequest naming the parameter."""
    known = ("provider", "operation", "on", "after", "limit")
    for name, values in given.items():
        if name not in known:
            raise InvalidRequest(f"there is no parameter {name!r} here; known: {', '.join(known)}", param=name)
        if len(values) > 1:
            raise InvalidRequest(f"{name} was given {len(values)} times", param=name)
    words = {name: values[0] for name, values in given.items()}
    limit = _limit(words.get("limit"))
    if words.get("on") not in {None, "true", "false"}:
        raise InvalidRequest("on is true or false", param="on")
    found = [
        row
        for row in _rows(router)
        if words.get("provider") in {None, row.provider}
        and ("operation" not in words or words["operation"] in row.operations)
        and ("on" not in words or row.on is (words["on"] == "true"))
    ]
    first = _after(found, words["after"]) if "after" in words else 0
    page = found[first : first + limit]
    return AdminModels(data=page, has_more=first + limit < len(found), last_id=page[-1].id if page else None)


def _rows(router: Router) -> Iterator[AdminModel]:
    """In the catalog's order; a vendor's models once for each provider that is switched on and serves them."""
    catalog = router.catalog
    serving: dict[str, dict[str, str]] = {}
    for row in router.providers():
        kind = router.vendor(row)
        for vendor in (row.name, *catalog.vendors(kind)):
            serving.setdefault(vendor, {})[row.name] = kind
    for vendor, model, origin in catalog.rows():
        if vendor not in serving:
            yield _row(vendor, model, origin, on=False)
        for name, kind in serving.get(vendor, {}).items():
            yield _row(name, catalog.model(name, model.name, kind=kind), origin, on=True)


def _row(provider: str, model: Model, origin: Origin, *, on: bool) -> AdminModel:
    return AdminModel(
        id=f"{provider}:{model.name}",
        provider=provider,
        name=model.name,
        on=on,
        operations=model.operations,
        inputs=model.inputs,
        outputs=model.outputs,
        price=None if model.price is None else _price(model.price),
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        dimensions=model.dimensions,
        capabilities={name: getattr(model.capabilities, name) for name in Capabilities.__struct_fields__},
        start=model.start,
        shutdown=model.shutdown,
        source=origin.source,
        as_of=origin.as_of,
        note=origin.note,
    )


def _price(price: Price) -> AdminPrice:
    units = price.units
    return AdminPrice(
        version=price_version(price),
        source=price.source,
        as_of=price.as_of,
        per_million_tokens=_rates(price.rates),
        long_context_above_tokens=price.long_above_tokens,
        long_context={} if price.long_rates is None else _rates(price.long_rates),
        image={} if units is None else _by_variant(units.image),
        video_second={} if units is None else _by_variant(units.video_second),
        audio_minute=None if units is None else _usd(units.audio_minute),
        characters=None if units is None else _usd(units.characters),
        search=None if units is None else _usd(units.search),
    )


def _rates(rates: Rates) -> dict[str, str]:
    return {name: usd(rate) for name in Rates.__struct_fields__ if (rate := getattr(rates, name)) is not None}


def _by_variant(rates: dict[str, int]) -> dict[str, str]:
    return {variant: usd(rate) for variant, rate in rates.items()}


def _usd(rate: int | None) -> str | None:
    return None if rate is None else usd(rate)


def _limit(text: str | None) -> int:
    if text is None:
        return _ON_A_PAGE
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= _MOST_ON_A_PAGE:
        raise InvalidRequest(f"limit is a number from 1 to {_MOST_ON_A_PAGE}", param="limit")
    return int(text)


def _after(found: Sequence[AdminModel], wanted: str) -> int:
    place = next((place for place, row in enumerate(found) if row.id == wanted), None)
    if place is None:
        raise InvalidRequest("after names no model of this list; begin again without it", param="after")
    return place + 1
