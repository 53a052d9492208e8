"""Long lists of identities, cut without losing what rules match on."""

from analyzer.findings.blast import Consumers, shortened
from schemas.messages import Affected, Endpoint, Identity


def affected(number: int, owner: str = "payments") -> Affected:
    return Affected(id=f"sa-{number:03}", owner=owner, criticality="high")


def test_a_short_list_is_whole() -> None:
    everybody = [affected(number) for number in range(3)]

    assert shortened(everybody, 3) == tuple(everybody)


def test_of_a_long_list_every_owner_stays_and_the_order_does() -> None:
    everybody = [affected(number) for number in range(90)] + [affected(90, "logistics"), affected(91)]

    short = shortened(everybody, 10)

    assert [one.id for one in short] == [*(f"sa-{number:03}" for number in range(9)), "sa-090"]
    assert {one.owner for one in short} == {"payments", "logistics"}


def test_an_identity_with_many_hosts_names_some() -> None:
    hosts = [f"h{number:03}.bank.example" for number in range(70)]
    consumers = Consumers()
    consumers.put("sa", Identity(id="sa", endpoints=tuple(Endpoint(host=host) for host in hosts)))

    (one,) = consumers.affected_by(f"{host}." for host in hosts)

    assert one.hosts == tuple(hosts[:50])
