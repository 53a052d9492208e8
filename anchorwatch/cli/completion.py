"""``anchorwatch completion`` and ``anchorwatch man``: what a shell and ``man`` know of the commands."""

import click

from anchorwatch import __version__

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ANCHORWATCH_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands and options.

    \b
    bash: anchorwatch completion bash > /etc/bash_completion.d/anchorwatch
    zsh:  anchorwatch completion zsh > "${fpath[1]}/_anchorwatch"
    fish: anchorwatch completion fish > ~/.config/fish/completions/anchorwatch.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    click.echo(found(root, {}, "anchorwatch", VARIABLE).source())


@click.command()
@click.pass_context
def man(context: click.Context) -> None:
    """Print the manual page: anchorwatch man > /usr/local/share/man/man1/anchorwatch.1"""
    root = context.find_root().command
    assert isinstance(root, click.Group)
    click.echo("\n".join(write_page(root)))


def write_page(root: click.Group) -> list[str]:
    """Return the manual page of all commands, in roff's man macros. Source: groff_man(7)."""
    context = click.Context(root, info_name="anchorwatch")
    lines = [
        f'.TH ANCHORWATCH 1 "" "anchorwatch {__version__}" "User Commands"',
        ".SH NAME",
        "anchorwatch \\- watch the integrity of the names that machine identities trust",
        ".SH SYNOPSIS",
        ".B anchorwatch",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help or ""),
        ".SH COMMANDS",
    ]
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None:
            lines += _section(command, click.Context(command, info_name=name, parent=context))
    lines += [
        ".SH ENVIRONMENT",
        *_tagged("NO_COLOR", "Where it is set and not empty, nothing is coloured (FORCE_COLOR: everything is)."),
        *_tagged("ANCHORWATCH_TOKEN_FILE", "The file of the token that the API asks for."),
    ]
    return lines


def _section(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    path = context.command_path.removeprefix("anchorwatch ")
    lines = [f".SS {_roff(f'{path} {usage}'.strip())}", *_paragraphs(command.help or "")]
    for parameter in command.get_params(context):
        if (record := parameter.get_help_record(context)) is not None:
            lines += _tagged(*record)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                lines += _section(below, click.Context(below, info_name=name, parent=context))
    return lines


def _tagged(term: str, text: str) -> list[str]:
    return [".TP", f".B {_roff(term)}", _roff(" ".join(text.split())) or "\\&"]


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text; what stands behind ``\\b`` keeps its lines."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            lines += [".nf", *map(_roff, paragraph.replace("\b", "").strip("\n").splitlines()), ".fi"]
        elif said := " ".join(paragraph.split()):
            lines += [_roff(said), ".PP"]
    return lines[:-1] if lines and lines[-1] == ".PP" else lines


def _roff(text: str) -> str:
    """Return a text in which roff takes nothing for a request, an escape or a hyphen."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
