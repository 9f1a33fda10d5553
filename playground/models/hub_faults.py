"""The sentence for each thing that the Hub's client raises; it fetches nothing."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterator

from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)

from playground.errors import (
    HubProblem,
    ModelInvalid,
    ModelNotFound,
    ModelTooBig,
    PlaygroundError,
)

log = logging.getLogger(__name__)


def explained(error: BaseException, repo: str, token: bool = False) -> PlaygroundError:
    """The sentence for what the Hub's client raised while it was asked about ``repo``.

    ``token``: whether somebody was logged in, which changes what there is to do.
    """
    causes = list(_causes(error))
    for of_this_kind in (_of_the_repo, _of_this_machine):
        for cause in causes:
            if problem := of_this_kind(cause, repo, token):
                return problem
    about = {"field": "model", "given": repo}
    if any(_is_proxy(cause) for cause in causes):
        return HubProblem(
            "The proxy of this network does not let the app reach the Hub.", **about,
            advice="Check HTTPS_PROXY and its user and password.",
        )
    if any(is_network(cause) for cause in causes):
        return HubProblem(
            "The Hub cannot be reached.", **about,
            advice="Check the connection; models that were fetched before still load.",
        )
    if any(isinstance(cause, json.JSONDecodeError) for cause in causes):
        return HubProblem(
            "What answered in the Hub's place is not the Hub.", **about,
            advice="Log in to the network that you are in, and try again.",
        )
    log.error("download of %s: %r", repo, error)
    return HubProblem(
        f"The download of {repo} failed ({type(error).__name__}).", **about,
        advice="Try again; the log of the app says more.",
    )


def offline(repo: str) -> HubProblem:
    """The sentence where the app was started without a way to the Hub."""
    return HubProblem(
        f"{repo} has not been fetched, and this app works offline.",
        field="model", given=repo,
        advice="Pick a model that is on this machine, or start the app without --offline and "
               "HF_HUB_OFFLINE.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from: the client wraps what happened in what it tried next."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_the_repo(cause: BaseException, repo: str, token: bool) -> PlaygroundError | None:
    """What the Hub itself says."""
    about = {"field": "model", "given": repo}
    if isinstance(cause, GatedRepoError):
        then = "wait until its owner lets you in" if token else "log in with `hf auth login`"
        return HubProblem(
            f"{repo} is gated: its owner lets in only those who have asked.", **about,
            advice=f"Accept its terms on its page on the Hub, then {then}, and try again.",
        )
    if isinstance(cause, RepositoryNotFoundError) or _is_hidden(cause):
        return ModelNotFound(
            f"There is no model {repo} on the Hub, or it is private.", **about,
            advice="Check the spelling of owner and name; for a folder write ./ before it.",
        )
    if isinstance(cause, RevisionNotFoundError):
        return ModelNotFound(
            f"{repo} has no such branch, tag or commit.", field="revision", given=repo,
            advice="Leave the revision empty for the main branch.",
        )
    if isinstance(cause, DisabledRepoError):
        return HubProblem(f"The Hub has disabled {repo}.", **about, advice="Choose another model.")
    if isinstance(cause, SafetensorsParsingError):
        return ModelInvalid(
            f"The weights of {repo} are no safetensors: a header cannot be read.", **about,
            advice="Choose another revision or another model.",
        )
    return _http_problem(cause, repo) if isinstance(cause, HfHubHTTPError) else None


def _is_hidden(error: BaseException) -> bool:
    """Whether the Hub says 401, as it does to strangers for what is private or not there at all.

    With a token that it does not know, it names the credentials instead.
    """
    if not isinstance(error, HfHubHTTPError) or error.response.status_code != 401:
        return False
    return "credentials" not in error.response.headers.get("x-error-message", "").lower()


def _http_problem(error: HfHubHTTPError, repo: str) -> HubProblem:
    status = error.response.status_code
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        return HubProblem(
            "The Hub asks to be left alone for a while (too many requests).",
            field="model", given=repo,
            advice=f"Try again in {wait} s." if wait.isdigit() else "Try again in a few minutes.",
        )
    if status in (401, 403):
        return HubProblem(
            f"The Hub does not let this app read {repo}.", field="model", given=repo,
            advice="Log in anew with `hf auth login`, as somebody who may.",
        )
    return HubProblem(
        f"The Hub answered with an error ({status}).", field="model", given=repo,
        advice="Try again later; models that were fetched before still load.",
    )


def _of_this_machine(cause: BaseException, repo: str, _: bool) -> PlaygroundError | None:
    """What the disk says."""
    if not isinstance(cause, OSError) or is_network(cause):
        return None
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return ModelTooBig(
            f"The disk is full before all of {repo} has come.", field="model", given=repo,
            advice="Free some disk and try again.",
        )
    if cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT):
        return HubProblem(
            "The cache of the Hub's files cannot be written.", field="model", given=repo,
            advice="Check that the folder which HF_HOME names is there, and who owns it.",
        )
    return None


def _kinds(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _is_proxy(error: BaseException) -> bool:
    return "ProxyError" in _kinds(error)


def is_network(error: BaseException) -> bool:
    """Connection refused, no such host, timeouts; the HTTP library differs between versions."""
    network = isinstance(error, (OfflineModeIsEnabled, ConnectionError))
    return network or "TransportError" in _kinds(error)
