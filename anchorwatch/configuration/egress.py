"""The rule for all that leaves this process, from the configuration or else from the environment."""

import os
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.egress import Egress, egress_from, read_proxy
from schemas.faults import ConfigError

if TYPE_CHECKING:
    import urllib3


def environment_egress(environment: Mapping[str, str] | None = None) -> Egress:
    """Return the rule for commands that have no configuration.

    Raises:
        ConfigError: a proxy that the environment names can't be used.
    """
    egress, problems = egress_from(os.environ if environment is None else environment)
    if problems:
        raise ConfigError(problems)
    return egress


def configured_egress(
    proxy: str, no_proxy: tuple[str, ...] | None, user: str, ca_path: str
) -> tuple[Egress, list[str]]:
    """Return the rule, and what of it can't be used; what the configuration leaves out comes from the environment.

    ``proxy`` is a URL for every scheme, or ``none``; ``user`` is ``user:password``.
    """
    egress, problems = egress_from(os.environ, ca_path)
    if no_proxy is not None:
        egress = msgspec.structs.replace(egress, no_proxy=no_proxy)
    if not proxy:
        return egress, problems
    if proxy == "none":
        return msgspec.structs.replace(egress, http_proxy="", https_proxy="", users={}), []
    try:
        url, in_url = read_proxy(proxy)
    except ValueError as error:
        return egress, [f"outbound.proxy: {error}"]
    if in_url:
        return egress, ["outbound.proxy: user and password belong into outbound.proxy_user_file, as user:password"]
    return msgspec.structs.replace(egress, http_proxy=url, https_proxy=url, users={url: user} if user else {}), []


def open_pool(url: str, egress: Egress) -> "urllib3.PoolManager":
    """Return connections to a URL by the rule."""
    import urllib3  # a tenth of what ``validate`` would import, which opens none

    trusted = ssl.create_default_context(cafile=egress.ca_path or None)
    options: dict[str, Any] = {"ssl_context": trusted, "retries": False}
    proxy = egress.proxy_for(url)
    if not proxy:
        return urllib3.PoolManager(**options)
    user = egress.user_of(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=user) if user else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, proxy_ssl_context=trusted, **options)
