"""Model names → deployments, in the order in which they are to be tried. Pure."""

from __future__ import annotations

import difflib
import random as _random
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.errors import ModelNotFound
from pulse_gateway.routing.targets import Alias, ProviderRow, Target
from pulse_gateway.types.catalog import Deployment, Model, Price, Rates

__all__ = ["ListedModel", "Router"]

_PREFIXES = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("nano-banana", "google"),
    ("veo3", "google"),
    ("veo-3", "google"),
    ("echo", "echo"),
)
_MARKETING = {
    "nano-banana": "gemini-3.1-flash-image",
    "nano-banana-pro": "gemini-3-pro-image",
    "nano-banana-2": "gemini-3.1-flash-image",
    "nano-banana-2-lite": "gemini-3.1-flash-lite-image",
    "nano-banana-2.1": "gemini-nano-banana-2.1",
    "veo3": "veo-3.1-generate-001",
    "veo-3": "veo-3.1-generate-001",
}
"""Names that people use and Google's API does not know. Source: ai.google.dev/gemini-api/docs/models (read 2026-11-24)."""

_OTHER_NAMES = {"gemini": "google", "x-ai": "xai"}
_SWITCHES = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GEMINI_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "xai": "XAI_API_KEY",
    "together": "TOGETHER_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "cerebras": "CEREBRAS_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "perplexity": "PERPLEXITY_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT",
    "vertex": "GOOGLE_CLOUD_PROJECT and GOOGLE_APPLICATION_CREDENTIALS",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK and AWS_REGION",
    "replicate": "REPLICATE_API_TOKEN",
    "stability": "STABILITY_API_KEY",
    "ollama": "OLLAMA_BASE_URL",
    "vllm": "VLLM_BASE_URL",
    "lmstudio": "LMSTUDIO_BASE_URL",
}
"""The variable that switches a provider on."""

_ECHO = ProviderRow(name="echo", kind="echo", base_url="echo:")
_FREE = Price(rates=Rates(input=0, output=0), source="built in", as_of="2026-11-24")
_NAMES_KEPT = 2_000  # of models that clients have named
_LONGEST_NAME = 100  # characters of a client's model name that are looked at and repeated in an error


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as `GET /v1/models` shows it; `id` is what a client sends to use it."""

    id: str
    provider: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    shutdown: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    """What a name leads to: `first` in order, or drawn by weight; then `after`."""

    first: tuple[Deployment, ...]
    after: tuple[Deployment, ...] = ()
    weighted: bool = False


class Router:
    """First match wins: an alias; `provider:model` or `provider/model`; a vendor's prefix; `echo`; the `default`.

    `providers` are those that are switched on, by name. `default` is a model name. `random` draws evenly from [0, 1).
    """

    def __init__(
        self,
        aliases: Iterable[Alias],
        providers: Mapping[str, ProviderRow],
        catalog: Catalog,
        default: str | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._aliases = {alias.name: alias for alias in aliases}
        self._providers = {_ECHO.name: _ECHO, **providers}
        self._catalog = catalog
        self._default = default
        self._random = random
        self._day = catalog.day
        self._alias_choices: dict[str, _Choice] = {}
        self._name_choices: dict[str, _Choice] = {}
        self._listed: tuple[ListedModel, ...] | None = None
        self._spellings: dict[str, str] = {}  # what a client may have meant → how to ask for it

    def providers(self) -> tuple[ProviderRow, ...]:
        """Every provider that is switched on, the built-in `echo` included."""
        return tuple(self._providers.values())

    def candidates(self, model: str, /) -> tuple[Deployment, ...]:
        """The deployments for `model` as a client wrote it, in the order in which to try them; at least one.

        Raises: ModelNotFound: it names models that are spelled alike, or the variable that switches the provider on.
        """
        self._begin_day()
        choice = self._alias_choices.get(model) or self._name_choices.get(model)
        if choice is None:
            choice = self._choose(model)
            if choice is None:
                raise ModelNotFound(self._not_found(self._default or model), param="model")
            self._keep(model, choice)
        first = self._drawn(choice.first) if choice.weighted else choice.first
        return first + choice.after

    def deployment(self, provider: str, model: str, /) -> Deployment:
        """That model at that provider, as it is configured now.

        Raises: ModelNotFound when the provider is not switched on.
        """
        return self._deployment(self._switched_on(provider, model, f"{provider}:{model}"))

    def models(self) -> tuple[ListedModel, ...]:
        """What a client may use today: aliases, the chat models of the providers that are switched on, and `echo`."""
        self._begin_day()
        if self._listed is None:
            self._listed = (*self._listed_aliases(), *self._listed_models(), ListedModel(id="echo", provider="echo"))
            self._spellings = {}
            for listed in self._listed:
                self._spellings.setdefault(listed.id, listed.id)
                self._spellings.setdefault(listed.id.removeprefix(f"{listed.provider}:"), listed.id)
        return self._listed

    # ── listing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_day(self) -> None:
        """Forget what was worked out on another day: prices and shutdowns change with the date."""
        if self._day != (day := self._catalog.day):
            self._day = day
            self._alias_choices.clear()
            self._name_choices.clear()
            self._listed = None

    def _listed_aliases(self) -> Iterator[ListedModel]:
        for alias in self._aliases.values():
            try:
                leads_to = self.candidates(alias.name)[0].model
            except ModelNotFound:
                continue  # none of its providers is switched on
            yield _listed(alias.name, leads_to.provider, leads_to)

    def _listed_models(self) -> Iterator[ListedModel]:
        for row in self._providers.values():
            for model in self._catalog.models(self._vendor(row)):
                by_prefix = _by_prefix(model.name) == row.name and model.name not in self._aliases
                yield _listed(model.name if by_prefix else f"{row.name}:{model.name}", row.name, model)

    def names_something(self, model: str) -> bool:
        """Whether `model` leads to a deployment, or would if its provider were switched on."""
        try:
            return self._choose(model) is not None
        except ModelNotFound:
            return True

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, model: str, *, seen: frozenset[str] = frozenset()) -> _Choice | None:
        """None: nothing has that name. Raises: ModelNotFound when it leads only to providers that are off."""
        if alias := self._aliases.get(model):
            return self._alias_choice(alias, seen | {model})
        if target := self._named(model):
            return _Choice((self._deployment(target),))
        if self._default is not None and self._default not in seen and model != self._default:
            return self._choose(self._default, seen=seen | {model})
        return None

    def _alias_choice(self, alias: Alias, seen: frozenset[str]) -> _Choice:
        first = tuple(self._deployment(target, alias) for target in alias.targets if target.provider in self._providers)
        after: dict[str, Deployment] = {}
        for fallback in alias.fallbacks:
            if fallback in seen:
                continue
            try:
                choice = self._choose(fallback, seen=seen)
            except ModelNotFound:
                continue  # its provider is not switched on
            if choice is None:
                continue
            after.update((deployment.name, deployment) for deployment in choice.first + choice.after)
        for deployment in first:
            after.pop(deployment.name, None)
        if not first and not after:
            off = dict.fromkeys(self._switch(target.provider) for target in alias.targets)
            raise ModelNotFound(
                f"no provider of the model {alias.name!r} is switched on; set {' or '.join(off)}", param="model"
            )
        return _Choice(first, tuple(after.values()), alias.strategy == "weighted" and len(first) > 1)

    def _named(self, model: str) -> Target | None:
        """`provider:model`, `provider/model`, or a name whose vendor shows. Raises: ModelNotFound when that one is off."""
        cut = min((at for at in (model.find(":"), model.find("/")) if at > 0), default=-1)
        if cut > 0 and (provider := self._known(model[:cut])) and model[cut + 1 :]:
            return self._switched_on(provider, model[cut + 1 :], model)
        if provider := _by_prefix(model):
            return self._switched_on(provider, _MARKETING.get(model, model), model)
        return None

    def _known(self, word: str) -> str | None:
        """The provider that `word` names, switched on or not."""
        if word in self._providers:
            return word
        low = word.lower()
        low = _OTHER_NAMES.get(low, low)
        return low if low in self._providers or low in _SWITCHES else None

    def _switched_on(self, provider: str, name: str, model: str) -> Target:
        if provider not in self._providers:
            raise ModelNotFound(
                f"the model {model[:_LONGEST_NAME]!r} needs the provider {provider!r}, which is not switched on; "
                f"set {self._switch(provider)}",
                param="model",
            )
        return Target(provider=provider, model=name)

    def _switch(self, provider: str) -> str:
        return _SWITCHES.get(provider) or f"[providers.{provider}] in the configuration"

    def _deployment(self, target: Target, alias: Alias | None = None) -> Deployment:
        row = self._providers[target.provider]
        model = self._model(row, target.model)
        timeouts = row.timeouts
        if alias is not None:
            model = model if alias.price is None else msgspec.structs.replace(model, price=alias.price)
            timeouts = alias.timeouts or timeouts
        return Deployment(
            provider=row.name,
            kind=row.kind,
            model=model,
            base_url=row.base_url,
            key=row.key,
            headers=row.headers,
            timeouts=timeouts,
            weight=target.weight,
            abandoned=row.abandoned,
            proxy=row.proxy,
        )

    def _model(self, row: ProviderRow, name: str) -> Model:
        found = self._catalog.find(row.name, name) or self._catalog.model(row.kind, name)
        if row.kind == "echo" and found.price is None:
            return msgspec.structs.replace(found, price=_FREE)
        return found

    def _vendor(self, row: ProviderRow) -> str:
        """Whose models a provider serves: the vendor it is named after, or whose kind it is."""
        return row.name if row.name in _SWITCHES else row.kind

    def _drawn(self, deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
        """All of them, the first drawn by weight, the second among the rest, and so on.

        Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006): sort by u^(1/w).
        """

        def place(deployment: Deployment) -> float:
            return self._random() ** (1 / deployment.weight) if deployment.weight else -1.0

        return tuple(sorted(deployments, key=place, reverse=True))

    def _keep(self, model: str, choice: _Choice) -> None:
        if model in self._aliases:
            self._alias_choices[model] = choice
            return
        if len(self._name_choices) >= _NAMES_KEPT:
            del self._name_choices[next(iter(self._name_choices))]
        self._name_choices[model] = choice

    def _not_found(self, model: str) -> str:
        asked = model[:_LONGEST_NAME]
        self.models()
        near = [self._spellings[name] for name in difflib.get_close_matches(asked, self._spellings, n=3, cutoff=0.6)]
        hint = f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else "; GET /v1/models lists what there is"
        return f"the model {asked!r} does not exist or is not served here{hint}"


def _by_prefix(model: str) -> str | None:
    return next((provider for prefix, provider in _PREFIXES if model.startswith(prefix)), None)


def _listed(name: str, provider: str, model: Model) -> ListedModel:
    return ListedModel(
        id=name,
        provider=provider,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        shutdown=model.shutdown,
    )
