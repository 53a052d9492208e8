"""One rule for proxies: what curl and Go make of the same variables."""

import pytest

from schemas.egress import Egress, egress_from, is_direct, read_proxy, with_user

PROXY = "http://proxy.corp:3128"


@pytest.mark.parametrize(
    ("entry", "host", "port", "direct"),
    [
        ("*", "pager.example", 443, True),
        ("pager.example", "pager.example", 443, True),
        ("pager.example", "PAGER.example", 443, True),
        ("pager.example", "events.pager.example", 443, True),
        (".pager.example", "events.pager.example", 443, True),
        ("*.pager.example", "events.pager.example", 443, True),
        ("pager.example", "otherpager.example", 443, False),
        ("pager.example:8443", "pager.example", 8443, True),
        ("pager.example:8443", "pager.example", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 8123, True),
        ("10.0.0.0/8", "11.1.2.3", 8123, False),
        ("10.0.0.0/8", "ten.example", 8123, False),
        ("192.0.2.7", "192.0.2.7", 80, True),
        ("192.0.2.7:81", "192.0.2.7", 80, False),
        ("2001:db8::/32", "2001:db8::7", 443, True),
        ("[2001:db8::7]:443", "2001:db8::7", 443, True),
        ("2001:db8::/32", "192.0.2.7", 443, False),
        ("", "pager.example", 443, False),
        (".", "pager.example", 443, False),
        ("not a pattern/99", "pager.example", 443, False),
    ],
)
def test_hosts_without_a_proxy(entry: str, host: str, port: int, direct: bool) -> None:
    assert is_direct(host, port, (entry,)) is direct


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_is_never_reached_through_a_proxy(host: str) -> None:
    place = f"[{host}]" if ":" in host else host

    assert Egress(http_proxy=PROXY, https_proxy=PROXY).proxy_for(f"https://{place}:8443/x") == ""


def test_each_scheme_has_its_proxy() -> None:
    egress, problems = egress_from(
        {"HTTP_PROXY": "http://one:1", "https_proxy": "two:2", "NO_PROXY": "a.example, b.example"}
    )

    assert problems == []
    assert egress.proxy_for("http://c.example/") == "http://one:1"
    assert egress.proxy_for("https://c.example/") == "http://two:2"
    assert egress.proxy_for("https://x.b.example/") == ""
    assert egress.proxy_for("https://a.example./") == "", "a dot at the end is the same name"


def test_lower_case_comes_first_and_all_proxy_last() -> None:
    egress, _ = egress_from({"HTTPS_PROXY": "upper:1", "https_proxy": "lower:2", "ALL_PROXY": "all:3"})

    assert (egress.https_proxy, egress.http_proxy) == ("http://lower:2", "http://all:3")


def test_nothing_said_is_direct() -> None:
    egress, problems = egress_from({"HTTPS_PROXY": " ", "NO_PROXY": ""})

    assert (egress, problems) == (Egress(), [])


def test_a_proxys_user_is_used_and_never_shown() -> None:
    egress, _ = egress_from({"https_proxy": "http://robot:p%40ss@proxy.corp:3128"})

    proxy = egress.proxy_for("https://a.example/")
    assert proxy == PROXY
    assert egress.user_of(proxy) == "robot:p@ss"
    assert with_user(proxy, egress.user_of(proxy)) == "http://robot:p%40ss@proxy.corp:3128"
    assert "robot" not in repr(egress)


@pytest.mark.parametrize(
    "text", ["socks5://robot:hunter2@proxy:1080", "http://", "http://robot:hunter2@proxy:port", "http://[::1"]
)
def test_what_is_no_http_proxy_is_refused_without_its_user(text: str) -> None:
    with pytest.raises(ValueError, match="a proxy is") as caught:
        read_proxy(text)

    assert "hunter2" not in str(caught.value)
    _, (problem,) = egress_from({"ALL_PROXY": text, "http_proxy": "fine:1"})
    assert problem.startswith("ALL_PROXY (environment): ")
    assert "hunter2" not in problem
