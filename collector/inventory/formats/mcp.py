"""Configurations of clients of the Model Context Protocol: which servers an agent speaks to. Pure.

Of each server only the host and port of its URL are taken. Headers, environments and arguments hold tokens: they are
neither kept nor shown.

Source: Model Context Protocol, specification 2025-06-18, "Transports"; VS Code, "MCP servers" (``servers``).
"""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from collector.inventory.formats.gathering import Found, Gathering, shown_name, texts_in
from collector.inventory.formats.trees import Tree, read_json

URL_KEYS = ("url", "serverUrl", "httpUrl")
CLIENTS = {
    "claude_desktop_config": "claude-desktop",
    ".claude": "claude-code",
    ".mcp": "claude-code",
}
FOLDERS = {".cursor": "cursor", ".vscode": "vscode", ".gemini": "gemini", ".windsurf": "windsurf"}
_ARGUMENT = re.compile(r"(?:https?|wss?)://\S+")


def is_client_configuration(value: object) -> bool:
    """Return whether a document names MCP servers."""
    return any(True for _ in _servers(value))


def read_clients(text: str, file: str, document: str = "", client: str = "") -> Found:
    """Return which hosts the agent behind a client's configuration consumes, one identity a server.

    ``client`` is what the client is called, by default by the name of its file.

    Raises:
        ValueError: it is no JSON, or names no servers.
    """
    tree = read_json(text, file, document, comments=True)
    if tree.problem:
        raise ValueError(tree.problem)
    found = list(_servers(tree.value))
    if not found:
        raise ValueError(f"{file}: no configuration of an MCP client: it has neither 'mcpServers' nor 'servers'")
    gathering = Gathering()
    called = client or client_of(file)
    for pointer, servers in found:
        if not isinstance(servers, dict):
            gathering.refuse(f"{file}: {pointer}", "a mapping of servers is expected here")
            continue
        for name, server in servers.items():
            _take(gathering, tree, called, pointer, name, server)
    return gathering.found()


def client_of(file: str) -> str:
    """Return what a client is called, by the name and folder of its configuration."""
    path = PurePath(file)
    return CLIENTS.get(path.stem) or FOLDERS.get(path.parent.name) or path.stem.lstrip(".") or "agent"


def _servers(value: object) -> Iterator[tuple[str, Any]]:
    """Yield where a document lists servers, and the list: at its top, or as settings and projects have it."""
    if not isinstance(value, dict):
        return
    if "mcpServers" in value:
        yield "mcpServers", value["mcpServers"]
    servers = value.get("servers")
    if isinstance(servers, dict) and (not servers or all(isinstance(one, dict) for one in servers.values())):
        yield "servers", servers
    if isinstance(value.get("mcp"), dict) and "servers" in value["mcp"]:
        yield "mcp.servers", value["mcp"]["servers"]
    projects = value.get("projects")
    for project in projects.values() if isinstance(projects, dict) else ():
        if isinstance(project, dict) and project.get("mcpServers"):
            yield "projects.mcpServers", project["mcpServers"]


def _take(gathering: Gathering, tree: Tree, client: str, pointer: str, name: str, server: Any) -> None:
    shown = shown_name(name)
    place = f"{tree.file}: {pointer}.{shown or '…'}"
    if not shown:
        gathering.refuse(place, "a server has a name that can be shown, of at most 200 characters")
        return
    identity, origin = f"mcp:{client}/{shown}", f"server {shown}"
    if not isinstance(server, dict):
        gathering.refuse(place, "a server is a mapping with 'url' or 'command'", identity)
        return
    gathering.describe(identity, place, {"kind": "ai_agent"})
    shared = {"purpose": "MCP server"}
    for key in URL_KEYS:
        if key in server:
            gathering.consume(identity, server[key], place, origin, shared)
            return
    remote = [one for one in texts_in(server.get("args")) if isinstance(one, str) and _ARGUMENT.fullmatch(one)]
    for url in remote:  # a bridge such as mcp-remote, which is given the server's URL
        gathering.consume(identity, url, place, origin, shared)
    if not remote and "command" in server:
        gathering.note(place, "", "it starts a command on its own machine: there is no host to watch")
    elif not remote:
        gathering.refuse(place, "a server has 'url' or 'command'", identity)
