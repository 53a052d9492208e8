"""Carry queries over HTTPS. In a module of its own, since an HTTP client takes as long to load as all of validation.

Source: RFC 8484.
"""

import asyncio
import functools
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3

from schemas.egress import Egress

THREADS = 16


class HttpsSender:
    """Sends queries to one DoH resolver; ``patience_s`` is for a request, whose thread can't be called back."""

    def __init__(self, url: str, egress: Egress, trusted: ssl.SSLContext, *, patience_s: float) -> None:
        self._url, self._patience_s = url, patience_s
        self._pool = _open_pool(url, egress, trusted)
        self._threads = ThreadPoolExecutor(THREADS, "doh")

    async def send(self, wire: bytes) -> bytes:
        """Send a query and return the reply.

        Raises:
            OSError: the resolver can't be reached, or answers with another status than 200.
        """
        headers = {"content-type": "application/dns-message", "accept": "application/dns-message"}
        try:
            post = functools.partial(self._pool.request, "POST", self._url, body=wire, headers=headers)
            call = functools.partial(post, timeout=self._patience_s, redirect=False)
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(str(error)) from error
        if answer.status != 200:
            raise OSError(f"HTTP status {answer.status}")
        return bytes(answer.data)


def _open_pool(url: str, egress: Egress, trusted: ssl.SSLContext) -> urllib3.PoolManager:
    """Return connections to a DoH resolver, through the proxy that the rule says."""
    options: dict[str, Any] = {"maxsize": THREADS, "retries": False, "ssl_context": trusted}
    proxy = egress.proxy_for(url)
    if not proxy:
        return urllib3.PoolManager(**options)
    user = egress.user_of(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    if proxy.startswith("https:"):
        options["proxy_ssl_context"] = trusted
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
