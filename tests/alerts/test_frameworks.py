import re

import msgspec

from alerts.decision.frameworks import check_mappings, match_controls
from anchorwatch.configuration.rules import shipped_mappings
from schemas.catalogue import CATALOGUE, ROWS, Kind
from tests.support.findings import PAYMENTS, finding

CSF = {
    "PR.DS-01",
    "PR.DS-02",
    "PR.DS-10",
    "PR.DS-11",
    "DE.CM-01",
    "DE.CM-06",
    "DE.CM-09",
    "DE.AE-02",
    "DE.AE-03",
    "DE.AE-04",
    "DE.AE-06",
    "DE.AE-08",
    "ID.AM-02",
    "ID.AM-03",
    "ID.AM-04",
    "ID.AM-05",
    "ID.RA-01",
    "GV.SC-07",
    "RS.MA-02",
    "RS.MA-03",
    "RS.CO-02",
    "RS.CO-03",
}
MAPPINGS = shipped_mappings()
CONTROLS = [control for mapping in MAPPINGS for control in mapping.controls]


def test_every_mapping_has_reason_citation_and_known_codes() -> None:
    assert check_mappings(MAPPINGS, CATALOGUE) == []
    assert all(control.why and control.citation for control in CONTROLS)


def test_only_ids_of_csf_2_are_used() -> None:
    used = {control.control for control in CONTROLS if control.framework == "NIST CSF 2.0"}

    assert used <= CSF
    assert "PR.DS-02" in used


def test_owasp_ids_are_of_2025_and_none_that_dns_alone_can_not_show() -> None:
    used = {control.control for control in CONTROLS if control.framework.startswith("OWASP")}

    assert all(re.fullmatch(r"NHI([1-9]|10):2025", one) for one in used)
    assert not used & {"NHI5:2025", "NHI7:2025", "NHI10:2025"}


def test_nhi8_is_direct_for_mixed_environments_only() -> None:
    for row in ROWS:
        if row.kind is Kind.REASON:
            continue
        for control in match_controls(finding(row.code), MAPPINGS):
            if control.control == "NHI8:2025":
                assert control.relation == ("direct" if row.code == "environment_mixed" else "amplifies"), row.code


def test_every_finding_touches_a_control() -> None:
    for row in ROWS:
        if row.kind is not Kind.REASON:
            assert match_controls(finding(row.code), MAPPINGS), row.code


def test_integrity_findings_carry_data_in_transit_and_nhi8() -> None:
    controls = {control.control for control in match_controls(finding("rrsig_crypto_invalid"), MAPPINGS)}

    assert {"PR.DS-02", "NHI8:2025", "SC-20", "SC-21"} <= controls


def test_the_purpose_of_an_endpoint_adds_entries() -> None:
    def touched(purpose: str) -> set[str]:
        identity = msgspec.structs.replace(PAYMENTS, purposes=(purpose,))
        return {c.control for c in match_controls(finding(identities=(identity,)), MAPPINGS)}

    assert "NHI4:2025" in touched("Token exchange")
    assert "NHI6:2025" in touched("OIDC issuer")
    assert "NHI3:2025" in touched("partner API")
    assert not touched("storage") & {"NHI3:2025", "NHI4:2025", "NHI6:2025"}
