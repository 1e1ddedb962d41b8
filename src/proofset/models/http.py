"""The one door to HTTP: bytes to a server and bytes back, with the key in a header and nowhere else.

Certificates are verified. Proxies are those of the environment (HTTPS_PROXY, NO_PROXY) or the study's own. Nothing is
tried again here: one call, one attempt, one answer or ModelUnavailable.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from proofset.errors import ConfigError, ModelUnavailable
from proofset.models.dialects import Dialect, dialect_of
from proofset.speakers import Model

SHOWN_CHARS = 300
"""Characters of a server's answer that an error may quote."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent back, whatever it means."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """Connections to one server. Raises ConfigError when address, model, key or certificates are missing."""

    def __init__(self, settings: Model, place: str) -> None:
        """``place`` is where the settings stand in the study, for errors; nothing is sent yet."""
        _check_address(settings, place)
        _check_key(settings, place)
        self.name = f"{settings.model} at {settings.base_url}"
        self.dialect: Dialect = dialect_of(settings.base_url, settings.dialect)
        self._settings = settings
        self._trust = _trust(settings, place)
        self._proxy = _proxy_of(settings, place)
        self._session: Any = None
        self._unavailable: tuple[type[BaseException], ...] = ()
        self._unsent: tuple[type[BaseException], ...] = ()

    async def post(self, path: str, body: bytes) -> Answer:
        """The answer to a JSON body posted to ``path`` below the base address."""
        import aiohttp

        return await self._send("POST", path, data=aiohttp.BytesPayload(body, content_type="application/json"))

    async def get(self, path: str) -> Answer:
        """The answer to a plain question."""
        return await self._send("GET", path)

    async def upload(self, path: str, fields: Mapping[str, str], filename: str, content: bytes) -> Answer:
        """The answer to a form with one file, called ``file``."""
        import aiohttp

        form = aiohttp.FormData()
        for name, value in fields.items():
            form.add_field(name, value)
        form.add_field("file", BytesIO(content), filename=filename, content_type="application/jsonl")
        return await self._send("POST", path, data=form)

    async def _send(self, method: str, path: str, **what: Any) -> Answer:
        session = self._session or self._connect()
        # A question may be sent on, as files are; a body is not, and no key but one that aiohttp takes off on the way.
        what["allow_redirects"] = method == "GET" and self.dialect.key_header == "Authorization"
        try:
            async with session.request(method, self._address(path), proxy=self._proxy or None, **what) as answer:
                return Answer(answer.status, answer.headers, await answer.read())
        except self._unavailable as error:
            told = self.clean(f"{self.name}: {type(error).__name__}: {error}")
            untrusted, unsent = isinstance(error, ssl.CertificateError), isinstance(error, self._unsent)
            timed_out = isinstance(error, TimeoutError) and not unsent
        hint = (
            "name the certificate of its authority: ca_file" if untrusted else "is the server up, and base_url right?"
        )
        unavailable = ModelUnavailable(told, hint=hint)
        unavailable.unsent, unavailable.timed_out = unsent, timed_out
        raise unavailable  # not from the other error: that may hold the headers with the key

    def _connect(self) -> Any:
        """A session whose connections are as many as the slots; made inside the event loop that uses it."""
        import aiohttp

        self._unavailable = (aiohttp.ClientError, TimeoutError, OSError)
        self._unsent = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.ConnectionTimeoutError)
        connector = aiohttp.TCPConnector(limit=self._settings.slots, ssl=self._trust)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            connector=connector,
            headers={**self._key_header(), "User-Agent": "proofset"},
        )
        return self._session

    def _address(self, path: str) -> str:
        address = self._settings.base_url.rstrip("/") + path
        if not self._settings.query:
            return address
        return f"{address}{'&' if '?' in path else '?'}{urlencode(self._settings.query)}"

    def _key_header(self) -> dict[str, str]:
        """The key, read from the environment when the session begins and kept in its headers alone."""
        if not (key := key_of(self._settings)):
            return {}
        bearer = "Bearer " if self.dialect.key_header == "Authorization" else ""
        return {self.dialect.key_header: bearer + key}

    def clean(self, text: str) -> str:
        """A server's words on one short line, without the key, which some servers repeat, or the proxy's password."""
        if key := key_of(self._settings):
            text = text.replace(key, "[key]")
        if password := urlsplit(self._proxy).password:
            text = text.replace(password, "[password]").replace(unquote(password), "[password]")
        return " ".join(text.split())[: SHOWN_CHARS + len(self.name)]

    def shown(self, body: bytes) -> str:
        """The beginning of a server's answer, fit to be quoted in an error."""
        return self.clean(body.decode("utf-8", "replace"))[:SHOWN_CHARS]

    async def close(self) -> None:
        """Drop the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def key_of(settings: Model) -> str:
    """The key, without the line end that a secret out of a file often has; empty when the study names none."""
    return os.environ.get(settings.api_key_env, "").strip() if settings.api_key_env else ""


def _trust(settings: Model, place: str) -> ssl.SSLContext | bool:
    """Whom to believe: the usual authorities, or the study's own file."""
    if not settings.ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{place}.ca_file: {settings.ca_file} cannot be read as certificates: {error}", hint="give a PEM file"
        ) from error


def _check_address(settings: Model, place: str) -> None:
    """Raise ConfigError for an address that nothing can be sent to, or that holds what does not belong there."""
    address = settings.base_url
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), b"", None
    if (
        parts.scheme not in ("http", "https")
        or not host
        or port == 0
        or not settings.model
        or address.split() != [address]
    ):
        raise ConfigError(
            f"{place}: engine 'chat' needs base_url and model",
            hint='for example base_url = "http://127.0.0.1:8000/v1" and model = "my-model"',
        )
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError(
            f"{place}.base_url: only a host and a path, please",
            hint="what follows a '?' goes into query, and a key into the variable that api_key_env names",
        )


def _check_key(settings: Model, place: str) -> None:
    """Raise ConfigError for a key that is not there, or that no header can hold."""
    if not settings.api_key_env:
        return
    if not (key := key_of(settings)):
        raise ConfigError(
            f"{place}.api_key_env: the environment variable {settings.api_key_env} is not set",
            hint=f"export {settings.api_key_env}=…",
        )
    if not key.isprintable():
        raise ConfigError(
            f"{place}.api_key_env: {settings.api_key_env} holds a line break or another control character",
            hint="a key is one line; is there more than the key in it?",
        )


def _proxy_of(settings: Model, place: str) -> str:
    """The study's proxy or the environment's, asked for once and not at every call; empty for none."""
    proxy = settings.proxy
    if not proxy:
        parts = urlsplit(settings.base_url)
        if proxy_bypass(parts.netloc):
            return ""
        proxies = getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.lower().startswith(("http://", "https://")):
        raise ConfigError(
            f"{place}.proxy: a {proxy.partition('://')[0]} proxy cannot be used",
            hint="give an HTTP proxy: proxy, HTTP_PROXY or HTTPS_PROXY; or leave the server out of it: NO_PROXY",
        )
    return proxy
