"""Model names → deployments, in the order in which they are to be tried. Pure."""

from __future__ import annotations

import random as _random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.catalog.lifetime import absence
from pulse_gateway.errors import ModelNotFound
from pulse_gateway.routing.defaults import MEDIA_NAMES, OTHER_NAMES, SWITCHES, media_targets, vendor_of
from pulse_gateway.routing.listing import ListedModel, Offers, listed
from pulse_gateway.routing.targets import Alias, ProviderRow, Target
from pulse_gateway.types.catalog import Deployment, Model, Price, Rates

__all__ = ["ModelAbsent", "Router"]

_COLLECTION = "models/"
_ECHO = ProviderRow(name="echo", kind="echo", base_url="echo:")
_FREE = Price(rates=Rates(input=0, output=0), source="built in", as_of="2026-11-24")
_NAMES_KEPT = 2_000  # of models that clients have named
_LONGEST_NAME = 100  # characters of a client's model name that are looked at and repeated in an error


class ModelAbsent(ModelNotFound):
    """It is known, but nobody serves it any more, or yet. `operations` are what it was for."""

    def __init__(self, message: str, operations: tuple[str, ...]) -> None:
        super().__init__(message, param="model")
        self.operations = operations


class _Choice(msgspec.Struct, frozen=True):
    """What a name leads to: `first` in order, or drawn by weight; then `after`."""

    first: tuple[Deployment, ...]
    after: tuple[Deployment, ...] = ()
    weighted: bool = False


class Router:
    """First match wins: an alias; `provider:model` or `provider/model`; a vendor's prefix; `echo`; the `default`.

    `providers` are those that are switched on, by name. `default` is a model name. `random` draws evenly from [0, 1). `offers` tells
    whether a deployment has an operation, for what is listed.
    """

    def __init__(
        self,
        aliases: Iterable[Alias],
        providers: Mapping[str, ProviderRow],
        catalog: Catalog,
        default: str | None = None,
        random: Callable[[], float] = _random.random,
        offers: Offers = lambda deployment, operation: True,
    ) -> None:
        self._aliases = {alias.name: alias for alias in aliases}
        self._providers = {_ECHO.name: _ECHO, **providers}
        self._catalog = catalog
        self._default = default
        self._random = random
        self._offers = offers
        self._day = catalog.day
        self._alias_choices: dict[str, _Choice] = {}
        self._name_choices: dict[str, _Choice] = {}
        self._listed: dict[bool, tuple[ListedModel, ...]] = {}
        self._spellings: dict[str, str] = {}  # what a client may have meant → how to ask for it

    @property
    def catalog(self) -> Catalog:
        """What is known of models, the configuration's own words included."""
        return self._catalog

    def providers(self) -> tuple[ProviderRow, ...]:
        """Every provider that is switched on, the built-in `echo` included."""
        return tuple(self._providers.values())

    def vendor(self, row: ProviderRow) -> str:
        """Whose models a provider serves: the vendor it is named after, or whose kind it is."""
        return row.name if row.name in SWITCHES else row.kind

    def candidates(self, model: str, /) -> tuple[Deployment, ...]:
        """The deployments for `model` as a client wrote it, in the order in which to try them; at least one, all served today.

        Raises: ModelNotFound: it names models that are spelled alike, or for the same, or the variable that switches the provider on.
        """
        try:
            choice = self._choice(model)
        except ModelAbsent as error:
            raise ModelAbsent(f"{error.message}{self._instead(model, error.operations)}", error.operations) from error
        if choice is None:
            raise ModelNotFound(self._not_found(self._default or model), param="model")
        first = self._drawn(choice.first) if choice.weighted else choice.first
        return first + choice.after

    def deployment(self, provider: str, model: str, /) -> Deployment:
        """That model at that provider, as it is configured now.

        Raises: ModelNotFound when the provider is not switched on.
        """
        (target,) = self._switched_on(f"{provider}:{model}", Target(provider=provider, model=model))
        return self._deployment(target)

    def models(self, *, priced: bool = False) -> tuple[ListedModel, ...]:
        """What can be used today: aliases, names of media models, the models of the providers that are switched on, and `echo`.

        `priced`: as far as their deployments have a price; the others are passed over under a budget in money.
        """
        self._begin_day()
        if priced not in self._listed:
            found: dict[str, ListedModel] = {}
            for name, deployments in chain(
                self._leading(self._aliases), self._leading(MEDIA_NAMES), self._known_models(), self._leading(["echo"])
            ):
                if (each := self._listed_as(name, deployments, priced=priced)) is not None:
                    found.setdefault(name, each)
            self._listed[priced] = tuple(found.values())
            if not priced:
                self._spellings = {}
                for each in found.values():
                    self._spellings.setdefault(each.id, each.id)
                    self._spellings.setdefault(each.id.removeprefix(f"{each.provider}:"), each.id)
        return self._listed[priced]

    def spelled_out(self, model: str, /, *, priced: bool = False) -> ListedModel | None:
        """A name that calls take beside those in `models`, as it would be listed there: `provider:model`, `provider/model`, a snapshot, a
        media model's other spelling; None for what is no such name, or nothing that is known of a vendor whose models are."""
        try:
            targets = () if model in self._aliases else self._named(model)
            deployments = self._served(model, targets) if targets else ()
        except ModelNotFound:
            return None
        if not deployments:
            return None
        first, row = deployments[0].model.name, self._providers[deployments[0].provider]
        if self._catalog.find(row.name, first, kind=row.kind) is None and any(
            self._catalog.models(row.name, None, kind=self.vendor(row))
        ):
            return None
        return self._listed_as(model, deployments, priced=priced)

    # ── listing ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_day(self) -> None:
        """Forget what was worked out on another day: prices and shutdowns change with the date."""
        if self._day != (day := self._catalog.day):
            self._day = day
            self._alias_choices.clear()
            self._name_choices.clear()
            self._listed.clear()

    def _listed_as(self, name: str, deployments: Sequence[Deployment], *, priced: bool) -> ListedModel | None:
        """None when nothing of it can be used."""
        if priced:
            deployments = [each for each in deployments if each.model.price is not None]
        found = listed(name, deployments, self._offers) if deployments else None
        return found if found is not None and found.operations else None

    def _leading(self, names: Iterable[str]) -> Iterator[tuple[str, tuple[Deployment, ...]]]:
        """Those of the names that lead to something today."""
        for name in names:
            try:
                choice = self._choice(name)
            except ModelNotFound:
                continue  # none of its providers is switched on, or serves it
            if choice is not None:
                yield name, choice.first + choice.after

    def _known_models(self) -> Iterator[tuple[str, tuple[Deployment, ...]]]:
        for row in self._providers.values():
            for model in self._catalog.models(row.name, None, kind=self.vendor(row)):
                by_prefix = vendor_of(model.name) == row.name and model.name not in self._aliases
                name = model.name if by_prefix else f"{row.name}:{model.name}"
                yield name, (self._deployment(Target(provider=row.name, model=model.name)),)

    def names_something(self, model: str) -> bool:
        """Whether `model` leads to a deployment, or would if its provider were switched on."""
        try:
            return self._choose(model) is not None
        except ModelNotFound:
            return True

    # ── finding ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _choice(self, model: str) -> _Choice | None:
        """What was found for the name today, or is found now."""
        if self._day != self._catalog.day:
            self._begin_day()
        choice = self._alias_choices.get(model) or self._name_choices.get(model)
        if choice is None and (choice := self._choose(model)) is not None:
            self._keep(model, choice)
        return choice

    def _choose(self, model: str, *, seen: frozenset[str] = frozenset()) -> _Choice | None:
        """None: nothing has that name. Raises: ModelNotFound when it leads only to providers that are off."""
        if alias := self._aliases.get(model):
            return self._alias_choice(alias, seen | {model})
        if model.startswith(_COLLECTION):  # as Gemini's clients write names, also to other dialects
            return self._choose(model.removeprefix(_COLLECTION), seen=seen | {model})
        if targets := self._named(model):
            deployments = self._served(model, targets)
            return _Choice(deployments[:1], deployments[1:])
        if self._default is not None and self._default not in seen and model != self._default:
            return self._choose(self._default, seen=seen | {model})
        return None

    def _alias_choice(self, alias: Alias, seen: frozenset[str]) -> _Choice:
        targets = tuple(target for target in alias.targets if target.provider in self._providers)
        absent: ModelAbsent | None = None
        try:
            first = self._served(alias.name, targets, alias) if targets else ()
        except ModelAbsent as error:
            first, absent = (), error
        after: dict[str, Deployment] = {}
        for fallback in alias.fallbacks:
            if fallback in seen:
                continue
            try:
                choice = self._choose(fallback, seen=seen)
            except ModelNotFound:
                continue  # its provider is not switched on, or does not serve it
            if choice is None:
                continue
            after.update((deployment.name, deployment) for deployment in choice.first + choice.after)
        for deployment in first:
            after.pop(deployment.name, None)
        if not first and not after:
            if absent is not None:
                raise absent
            off = dict.fromkeys(self._switch(target.provider) for target in alias.targets)
            raise ModelNotFound(
                f"no provider of the model {alias.name!r} is switched on; set {' or '.join(off)}", param="model"
            )
        return _Choice(first, tuple(after.values()), alias.strategy == "weighted" and len(first) > 1)

    def _served(self, model: str, targets: Sequence[Target], alias: Alias | None = None) -> tuple[Deployment, ...]:
        """The deployments of those that are served today, at least one. Raises: ModelAbsent."""
        today = self._catalog.today
        deployments = tuple(self._deployment(target, alias) for target in targets)
        found = tuple(each for each in deployments if absence(each.model, today) is None)
        if found:
            return found
        why = ", ".join(f"{each.name} {absence(each.model, today)}" for each in deployments)
        raise ModelAbsent(
            f"the model {model[:_LONGEST_NAME]!r} is not served: {why}", deployments[0].model.operations or ("chat",)
        )

    def _named(self, model: str) -> tuple[Target, ...]:
        """`provider:model`, `provider/model`, or a name whose vendor shows; (): none of these. Raises: ModelNotFound when that one is off."""
        cut = min((at for at in (model.find(":"), model.find("/")) if at > 0), default=-1)
        if cut > 0 and (provider := self._known(model[:cut])) and model[cut + 1 :]:
            return self._switched_on(model, Target(provider=provider, model=model[cut + 1 :]))
        if targets := media_targets(model):
            return self._switched_on(model, *targets)
        if provider := vendor_of(model):
            return self._switched_on(model, Target(provider=provider, model=model))
        return ()

    def _known(self, word: str) -> str | None:
        """The provider that `word` names, switched on or not."""
        if word in self._providers:
            return word
        low = word.lower()
        low = OTHER_NAMES.get(low, low)
        return low if low in self._providers or low in SWITCHES else None

    def _switched_on(self, model: str, *targets: Target) -> tuple[Target, ...]:
        """Those whose provider is; at least one. Raises: ModelNotFound."""
        found = tuple(target for target in targets if target.provider in self._providers)
        if not found:
            off = [target.provider for target in targets]
            which = (
                f"the provider {off[0]!r}, which is not"
                if len(off) == 1
                else f"one of the providers {', '.join(off)}, of which none is"
            )
            raise ModelNotFound(
                f"the model {model[:_LONGEST_NAME]!r} needs {which} switched on; "
                f"set {' or '.join(map(self._switch, off))}",
                param="model",
            )
        return found

    def _switch(self, provider: str) -> str:
        return SWITCHES.get(provider) or f"[providers.{provider}] in the configuration"

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
            bucket=row.bucket,
        )

    def _model(self, row: ProviderRow, name: str) -> Model:
        found = self._catalog.model(row.name, name, kind=row.kind)
        if row.kind == "echo" and found.price is None:
            return msgspec.structs.replace(found, price=_FREE)
        return found

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
        from difflib import get_close_matches  # who spells all right need not load it

        asked = model[:_LONGEST_NAME]
        self.models()
        near = [self._spellings[name] for name in get_close_matches(asked, self._spellings, n=3, cutoff=0.6)]
        hint = f"; did you mean {', '.join(dict.fromkeys(near))}?" if near else "; GET /v1/models lists what there is"
        return f"the model {asked!r} does not exist or is not served here{hint}"

    def _instead(self, model: str, operations: tuple[str, ...]) -> str:
        """What there is for the same: what is spelled alike, else what comes first."""
        from difflib import get_close_matches

        same = [
            each.id for each in self.models() if not set(operations).isdisjoint(each.operations) and each.id != model
        ]
        near = get_close_matches(model[:_LONGEST_NAME], same, n=3, cutoff=0.6) or same[:3]
        return f"; use {' or '.join(near)} instead" if near else "; GET /v1/models lists what there is"
