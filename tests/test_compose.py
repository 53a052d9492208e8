"""What an operator copies can be read and used; building the image needs a container engine and is not done here."""

from pathlib import Path

import yaml

from anchorwatch.config import load_config

COMPOSE = Path(__file__).parents[1] / "compose"


def test_the_configuration_passes_its_own_checker() -> None:
    config = load_config(COMPOSE / "etc" / "anchorwatch.yaml")

    assert config.alerts.ledger == Path("/var/lib/anchorwatch/alerts.sqlite")
    assert config.listen == ("0.0.0.0", 8053)


def test_the_service_is_confined_and_published_on_loopback_only() -> None:
    service = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]["anchorwatch"]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (COMPOSE.parent / service["build"]["dockerfile"]).is_file()


def test_the_image_copies_only_what_is_there() -> None:
    for line in (COMPOSE / "Dockerfile").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--"):
            assert all((COMPOSE.parent / word).exists() for word in words[1:-1])
