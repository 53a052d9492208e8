#!/usr/bin/env python
"""Make anchorwatch's topics, and give each stage's Kafka user its rights and nothing else.

Run it once with a configuration whose ``bus.sasl`` names an administrator, and again after an upgrade:

    python acls.py admin.yaml --collector User:aw-collector --analyzer User:aw-analyzer --alerts User:aw-alerts

The brokers need an authorizer (``authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer``) with
``super.users`` for the administrator and the brokers. Rights that are there already stay; ``--table`` only prints.
"""

import argparse
import sys
from pathlib import Path

from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from anchorwatch.configuration.loading import load_config
from anchorwatch.kafka.clients import open_admin
from anchorwatch.kafka.config import KafkaConfig
from anchorwatch.kafka.rights import READS, Right, rights, table
from anchorwatch.kafka.topics import prepare_topics


def apply_rights(config: KafkaConfig, principals: dict[str, str]) -> int:
    """Make the topics, then the rights of those roles that have a principal; return how many rights there are."""
    prepare_topics(config, f"{config.prefix}-acls")
    acls = [_acl(right, principals[right.role], config.prefix) for right in rights() if principals.get(right.role)]
    admin = open_admin(config, f"{config.prefix}-acls")
    try:
        failed = admin.create_acls(acls)["failed"]
    finally:
        admin.close()
    if failed:
        raise SystemExit("\n".join(f"not made: {one}" for one in failed))
    return len(acls)


def _acl(right: Right, principal: str, prefix: str) -> ACL:
    return ACL(
        principal=principal,
        host="*",
        operation=ACLOperation[right.operation.upper()],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[right.kind.upper()], f"{prefix}.{right.name}"),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", help="a configuration whose bus.sasl is an administrator's")
    parser.add_argument("--table", action="store_true", help="print the rights as a table")
    for role in READS:
        parser.add_argument(f"--{role}", metavar="PRINCIPAL", default="", help=f"who works as {role}: User:NAME")
    arguments = parser.parse_args()
    if arguments.table:
        sys.stdout.write(table())
        return
    if arguments.config is None:
        parser.error("a configuration is needed")
    bus = load_config(arguments.config).bus
    if bus is None:
        parser.error("bus.url is not kafka://…")
    count = apply_rights(bus, {role: getattr(arguments, role) for role in READS})
    sys.stdout.write(f"{count} rights are there\n")


if __name__ == "__main__":
    main()
