"""The files of models: where they are, who may name them, and how they come here; it loads none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playground.core.run import ModelSpec
from playground.engine.fitting import Fitting
from playground.engine.room import Budget
from playground.engine.waiting import GivenUp, Patience
from playground.environment import hub_token
from playground.errors import InvalidInput
from playground.models import download, footprint
from playground.models.place import HubId, check_decodes, is_known_encoder, place, place_adapter
from playground.settings import Settings


class ModelFiles:
    """What ``settings`` let a visitor name, on this machine and on the Hub.

    ``on_server`` says whether a model is on a remote one, and raises InvalidInput for a server that
    there is not; ``budget`` is what models may take of the memory.
    """

    def __init__(
        self, settings: Settings, patience: Patience, on_server: Callable[[ModelSpec], bool],
        budget: Callable[[], Budget],
    ) -> None:
        self._settings = settings
        self._on_server = on_server
        self._downloads = download.Downloads(
            patience.stalled, patience.download, offline=settings.offline
        )
        self._fitting = Fitting(self._downloads, budget, settings.device, self._token_for)

    def place(self, spec: ModelSpec) -> Path | HubId | None:
        """Where the files of a model are, or those of its adapter if it has one; None for one that
        is on a server. Raises PlaygroundError for what may not be named."""
        if self._on_server(spec):
            return None
        found = self._place_of_base(spec)
        return place_adapter(spec) if spec.adapter else found

    def _place_of_base(self, spec: ModelSpec) -> Path | HubId:
        return place(spec, self._settings.offered, self._settings.any_model)

    def check_decodes(self, spec: ModelSpec) -> None:
        """Refuse an encoder, which writes nothing, as far as one is known before it is loaded.
        Raises PlaygroundError."""
        if self.place(spec) is not None:
            check_decodes(spec, self._place_of_base(spec))

    def is_encoder(self, spec: ModelSpec) -> bool:
        """Whether a model of this machine is known to be one before it is fetched or loaded."""
        return is_known_encoder(spec, self._place_of_base(spec))

    def fetch(self, spec: ModelSpec, news: download.News, given_up: GivenUp) -> Path:
        """The folder with the files of ``spec``, or of its adapter, downloaded if it must be; waits
        for that. Raises PlaygroundError."""
        found = self.place(spec)
        if isinstance(found, Path):
            return found
        if found is None:
            raise InvalidInput(
                f"{spec.label} is on a server; here it proposes no tokens.", field="model",
                given=spec.repo,
            )
        return self._downloads.fetch(
            found, self._token_for(spec), news, given_up,
            lambda repo: self._fitting.admit(spec, repo),
        )

    def fit(self, spec: ModelSpec, context: int | None, given_up: GivenUp) -> footprint.Fit:
        """See Engine.fit."""
        return self._fitting.fit(spec, self._place_of_base(spec), context, given_up)

    def need(self, spec: ModelSpec) -> int:
        """The bytes that a model will take, as far as this machine knows it, else 0; the Hub is not
        asked. Raises PlaygroundError for what may not be named."""
        return self._fitting.need(spec, self._place_of_base(spec))

    def _token_for(self, spec: ModelSpec) -> str | None:
        """The Hub token of whoever started the app. In public it is used for what they offer, since
        they chose that, and never for what a visitor names."""
        offered = spec.repo in self._settings.offered and not (spec.revision or spec.adapter)
        return hub_token() if self._settings.any_model or offered else None
