"""Where requests to a URL go, and how they begin; proxies are those of the environment."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from gateway.upstreams.port import Unreachable


@dataclass(frozen=True, slots=True)
class Way:
    """To one URL. ``head`` is how every request there begins; ``proxy`` is (host, port, authorization)."""

    host: str
    port: int
    tls: bool
    head: bytes
    proxy: tuple[str, int, bytes] | None

    @property
    def end(self) -> tuple[str, int, bool, tuple[str, int, bytes] | None]:
        """Ways with the same end share their connections."""
        return self.host, self.port, self.tls, self.proxy


@lru_cache(maxsize=1024)
def way_to(url: str, api_key: str | None) -> Way:
    """How requests are sent to a URL. Raises :class:`Unreachable` for what cannot be sent."""
    parts = urlsplit(url)
    host, tls, proxy = parts.hostname or "", parts.scheme == "https", _proxy(parts)
    named = parts.netloc.rpartition("@")[2]
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    target = path if proxy is None or tls else f"{parts.scheme}://{named}{path}"
    said = [f"POST {target} HTTP/1.1", f"host: {named}", "content-type: application/json"]
    said += ["accept-encoding: identity"]
    if api_key is not None:
        said.append(f"authorization: Bearer {api_key}")
    elif parts.username is not None:
        said.append(f"authorization: {_basic(parts)}")
    if any(not line.isprintable() for line in said):
        raise Unreachable("its URL or its API key holds a line break, or what else no request may hold")
    if proxy is not None and not tls:
        said += proxy[2].decode().split("\r\n")[:-1]
    head = "\r\n".join([*said, "content-length: "])
    return Way(host, parts.port or (443 if tls else 80), tls, head.encode("utf-8"), proxy)


def _proxy(parts: SplitResult) -> tuple[str, int, bytes] | None:
    """What the environment says of the way there."""
    found = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if found is None:
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    authorization = b"" if proxy.username is None else f"proxy-authorization: {_basic(proxy)}\r\n".encode()
    return proxy.hostname or "", proxy.port or 80, authorization


def _basic(parts: SplitResult) -> str:
    said = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(said.encode()).decode()}"
