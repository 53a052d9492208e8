"""``anchorwatch schema``: what files and messages are like, for editors and for other programs."""

import re

import click


@click.command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print the JSON Schema of NAME: config, rules, inventory, or a message such as finding; without NAME, all names.

    A message without a version is the newest of its kind. An editor completes keys once the file's first line is
    '# yaml-language-server: $schema=config.schema.json'.
    """
    import msgspec

    from anchorwatch.cli.terminal import to_ascii_json
    from anchorwatch.configuration.schema import schemas

    found = schemas()
    if name is None:
        click.echo("\n".join(found))
        return
    chosen = name if name in found else _newest(name, list(found))
    if chosen is None:
        raise click.UsageError(f"there is no schema {name!r}; one of {', '.join(found)} is expected")
    click.echo(to_ascii_json(msgspec.json.format(msgspec.json.encode(found[chosen]), indent=2)))


def _newest(name: str, tags: list[str]) -> str | None:
    versions = [int(match[1]) for tag in tags if (match := re.fullmatch(rf"{re.escape(name)}\.v([0-9]+)", tag))]
    return f"{name}.v{max(versions)}" if versions else None
