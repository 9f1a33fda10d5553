"""Whether a model fits on this machine, before its weights come; it loads none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playground.core.run import ModelSpec
from playground.engine.room import Budget
from playground.engine.waiting import GivenUp
from playground.models import catalog, footprint, hub_cache, memory
from playground.models.download import Downloads
from playground.models.place import HubId
from playground.models.repo import Repo
from playground.models.weights import Config, Weights, json_object, of_config, of_folder


class Fitting:
    """Compares what models need with ``budget``, what they may take together on ``device``; with
    the Hub's ``token_for`` a model where it must be asked."""

    def __init__(
        self, downloads: Downloads, budget: Callable[[], Budget], device: str,
        token_for: Callable[[ModelSpec], str | None] = lambda spec: None,
    ) -> None:
        self._downloads, self._token_for = downloads, token_for
        self._budget = budget
        self._device = device

    def fit(
        self, spec: ModelSpec, place: Path | HubId, context: int | None, given_up: GivenUp
    ) -> footprint.Fit:
        """Whether a model would fit, with ``context`` tokens, if no other were in use.

        Counted from headers on the disk, from the catalog, or from headers on the Hub, which is
        asked only where neither knows the model. Raises PlaygroundError.
        """
        if isinstance(place, HubId):
            here = hub_cache.snapshot(place.repo, place.revision)
            known = catalog.entry(place.repo).config
            if here is None and known and not place.revision:
                return self._fit(spec, of_config(known), known, context)
            if here is None:
                repo = self._downloads.look(place, self._token_for(spec), given_up)
                return self._fit(spec, repo.weights or Weights(0, 0), repo.config, context)
            place = here
        config = json_object(place / "config.json")
        return self._fit(spec, of_folder(place, config), config, context)

    def need(self, spec: ModelSpec, place: Path | HubId) -> int:
        """The bytes that a model will take, as far as this machine knows it; the Hub is not asked.

        0 where it knows neither files nor sizes.
        """
        folder = place if isinstance(place, Path) else hub_cache.snapshot(
            place.repo, place.revision
        )
        config = json_object(folder / "config.json") if folder else catalog.entry(spec.repo).config
        if not config:
            return 0
        weights = of_folder(folder, config) if folder else of_config(config)
        return self._fit(spec, weights, config, None).footprint.total

    def admit(self, spec: ModelSpec, repo: Repo) -> None:
        """Raise ModelTooBig for a model that could never fit, before its bytes come.

        Not where a GPU is likely and no process has told of it yet: then the manager refuses.
        """
        unknown = not self._budget().device and memory.kind_of(self._device) != "cpu"
        if unknown or spec.adapter or repo.weights is None:
            return
        found = self._fit(spec, repo.weights, repo.config, None)
        if not found.fits:
            raise footprint.too_big(spec, found.footprint.total, found.memory.free, found)

    def _fit(
        self, spec: ModelSpec, weights: Weights, config: Config, context: int | None
    ) -> footprint.Fit:
        budget = self._budget()
        kind = memory.kind_of(budget.device or self._device)
        name = memory.host().name if kind == "cpu" else "the device's memory"
        room = memory.Memory(name, budget.capacity, budget.capacity)
        return footprint.fit(weights, config, spec, room, context, kind)
