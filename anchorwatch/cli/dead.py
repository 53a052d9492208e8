"""The commands about dead letters: messages that no stage could handle."""

from pathlib import Path

import click

from anchorwatch.pipeline.dead_letters import DeadLetter


@click.group()
def dead() -> None:
    """Look at messages that no stage could handle, and send them again."""


@dead.command("list")
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
def dead_list(config_path: Path) -> None:
    """List the dead letters, oldest first: number, time, stage, origin, reason."""
    from alerts.delivery.wording import printable

    dead_letters = _read_all(config_path)
    for number, letter in enumerate(dead_letters, 1):
        line = f"{number:5} {letter.at:%Y-%m-%d %H:%M:%S} {letter.stage:10} {letter.origin:28} {letter.reason}"
        click.echo(printable(line))
    if not dead_letters:
        click.echo("no dead letters")


@dead.command("show")
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.argument("number", type=click.IntRange(1))
def dead_show(config_path: Path, number: int) -> None:
    """Show one dead letter: reason, origin, headers and the message."""
    from alerts.delivery.wording import printable
    from anchorwatch.pipeline.dead_letters import describe_value

    letter = _chosen(_read_all(config_path), number)
    click.echo(f"reason: {printable(letter.reason)}")
    click.echo(f"origin: {letter.origin}, stage {letter.stage}, {letter.at:%Y-%m-%d %H:%M:%S} UTC")
    for name, value in letter.headers:
        click.echo(printable(f"{name}: {value.decode(errors='replace')}"))
    click.echo(printable(describe_value(letter)))


@dead.command("replay")
@click.argument("config_path", metavar="CONFIG", type=click.Path(path_type=Path))
@click.argument("numbers", metavar="NUMBER...", type=click.IntRange(1), nargs=-1, required=True)
def dead_replay(config_path: Path, numbers: tuple[int, ...]) -> None:
    """Send dead letters to the topic that they came from again, after an upgrade that can handle them.

    They stay in the list: what a stage knows already it does not take twice.
    """
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.kafka.dead_letters import KafkaDeadLetters

    config = load_config(config_path)
    if config.bus is None:
        raise click.UsageError("the bus is inside one process: start it again, and it observes everything anew")
    topic = KafkaDeadLetters(config.bus, f"{config.bus.prefix}-dead")
    dead_letters = topic.all()
    chosen = [_chosen(dead_letters, number) for number in numbers]
    try:
        for number, letter in zip(numbers, chosen, strict=True):
            topic.send_again(letter)
            click.echo(f"{number}: sent to {letter.topic} again")
    finally:
        topic.close()


def _read_all(config_path: Path) -> list[DeadLetter]:
    from anchorwatch.configuration.loading import load_config
    from anchorwatch.pipeline.dead_letters import FileDeadLetters, dead_letter_file

    config = load_config(config_path)
    if config.bus is None:
        return FileDeadLetters(dead_letter_file(config.alerts.ledger)).all()
    from anchorwatch.kafka.dead_letters import KafkaDeadLetters

    return KafkaDeadLetters(config.bus, f"{config.bus.prefix}-dead").all()


def _chosen(dead_letters: list[DeadLetter], number: int) -> DeadLetter:
    if number > len(dead_letters):
        raise click.UsageError(f"there are {len(dead_letters)} dead letters")
    return dead_letters[number - 1]
