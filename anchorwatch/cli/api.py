"""A running instance over its HTTP API: where it is, what is asked, and rows for people or scripts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

DEFAULT_API = "http://127.0.0.1:8053"
PATIENCE_S = 30.0


token_option = click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="ANCHORWATCH_TOKEN_FILE",
    show_envvar=True,
    help="The file that http.token_file of the instance names.",
)
url_option = click.option("--api", default=DEFAULT_API, show_default=True, metavar="URL", help="The instance to ask.")


def api_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add what every question takes: the instance, its token, and whether JSON is printed."""
    function = click.option("--json", "as_json", is_flag=True, help="Print what the API returns.")(function)
    return url_option(token_option(function))


def print_rows(document: list[dict[str, Any]], as_json: bool, line: Callable[[dict[str, Any]], str], none: str) -> None:
    """Print one line a row, as ``line`` words it, or ``none`` where there is no row; or the document as JSON."""
    from alerts.delivery.wording import printable

    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    for row in document:
        click.echo(printable(line(row)))
    if not document:
        click.echo(none)


def fetch(api: str, token_file: Path | None, path: str, **parameters: str | list[str] | None) -> Any:
    """Return what the instance answers; a list repeats its parameter.

    Raises:
        ClickException: nobody answers, or with an error.
    """
    query = urlencode({key: value for key, value in parameters.items() if value}, doseq=True)
    return _request("GET", api, token_file, f"{path}?{query}" if query else path)


def post(api: str, token_file: Path | None, path: str, **body: Any) -> Any:
    """Hand over ``body`` as JSON and return what the instance answers.

    Raises:
        ClickException: nobody answers, or with an error.
    """
    content = json.dumps({key: value for key, value in body.items() if value}).encode()
    return _request("POST", api, token_file, path, body=content, headers={"Content-Type": "application/json"})


def _request(
    method: str, api: str, token_file: Path | None, path: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Any:
    import urllib3

    from anchorwatch.configuration.egress import environment_egress, open_pool

    headers = dict(headers or {})
    if token_file is not None:
        headers["Authorization"] = f"Bearer {_token(token_file)}"
    try:
        pool = open_pool(api, environment_egress())
        answer = pool.request(method, f"{api}{path}", headers=headers, retries=False, timeout=PATIENCE_S, **more)
    except urllib3.exceptions.HTTPError as error:
        raise click.ClickException(
            f"no anchorwatch answers at {api} ({type(error).__name__}); is it running? say --api URL"
        ) from error
    try:
        document = json.loads(answer.data or b"null")
    except ValueError as error:
        raise click.ClickException(f"the server at {api} is no anchorwatch (HTTP {answer.status})") from error
    if answer.status == 401:
        given = f"the token in {token_file} is not its own" if token_file else "say --token-file FILE"
        raise click.ClickException(f"{api} asks for a token: {given}")
    if answer.status not in (200, 202):
        raise click.ClickException(
            document.get("error", f"HTTP {answer.status}") if document else f"HTTP {answer.status}"
        )
    return document


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'not ASCII'}") from error


def to_minute(instant: str) -> str:
    """Return an instant of the API (RFC 3339, in UTC) for people, to the minute."""
    return f"{instant[:10]} {instant[11:16]} UTC"
