"""A configured model behind servers: its deployments that can be asked, and what a call of one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.errors import BadRequest, GatewayError, KeyMissing
from gateway.upstreams.deployments import Place, Pool
from gateway.upstreams.port import Call
from gateway.upstreams.reading import Reading
from gateway.upstreams.tokens import TokenCounter
from gateway.upstreams.urls import media_url
from router.config import Endpoint, LiteLLMModel, OpenAIModel

_LIMITS: Final[Mapping[Endpoint, tuple[str, ...]]] = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "completions": ("max_tokens",),
    "embeddings": (),
    "responses": ("max_output_tokens",),
}
"""What a request limits its answer by; where it does not, the first is set, or a chat's ``limit_field``."""


class UpstreamModel:
    """``environ`` holds the API keys. Deployments whose key is missing there are left out."""

    def __init__(
        self,
        name: str,
        config: OpenAIModel | LiteLLMModel,
        environ: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self.name, self.config = name, config
        needed = {place: place.api_key_env for place in config.deployed}
        self.missing_keys = list(
            dict.fromkeys(variable for variable in needed.values() if variable and not environ.get(variable))
        )
        able = [place for place, variable in needed.items() if variable not in self.missing_keys]
        self.pool = Pool(able, config.cooldown_s, clock)
        self.retries = config.max_retries and max(config.max_retries, len(able) - 1)
        variables = {place: place.deployed.api_key_env for place in self.pool.places}
        self._keys = {place: environ[each] if each else None for place, each in variables.items()}
        self.count = TokenCounter(config)

    def objection(self, endpoint: Endpoint, body: Mapping[str, Any]) -> GatewayError | None:
        """Why it cannot be asked this at all, if it cannot."""
        if endpoint not in self.config.endpoints:
            return BadRequest(
                f"Model '{self.name}' is not configured for {endpoint}; its endpoints are "
                f"{', '.join(self.config.endpoints)}.",
                code="unsupported_feature",
                param="model",
            )
        if not self.pool.places:
            variables = " and ".join(self.missing_keys)
            return KeyMissing(
                f"Model '{self.name}' needs an API key, and the gateway's environment has none in "
                f"{variables}; set {variables} and start the gateway again."
            )
        if isinstance(self.config, LiteLLMModel) and (where := media_url(body, self.config)):
            return BadRequest(
                f"Model '{self.name}' takes no URLs of images or files, which the gateway would have to "
                "fetch; send what is there, as a data URL (data:image/png;base64,...).",
                code="unsupported_feature",
                param=where,
            )
        return None

    def key_of(self, place: Place) -> str | None:
        return self._keys[place]

    def call(self, place: Place, endpoint: Endpoint, body: Mapping[str, Any], reading: Reading) -> Call:
        """What to send to a deployment."""
        limits, deployed = _LIMITS[endpoint], place.deployed
        if limits and self.config.max_tokens is not None and not any(map(body.get, limits)):
            field = self.config.limit_field if endpoint == "chat" else limits[0]
            body = {**body, field: self.config.max_tokens}  # the worst case that was priced rests on it
        return Call(
            endpoint,
            deployed.model,
            deployed.base_url,
            self.key_of(place),
            body,
            self.config.timeouts.connect_s,
            reading.send,
        )
