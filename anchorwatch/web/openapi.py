"""The description of the API for others: OpenAPI 3.1, from the doors and the types of what they answer. Pure.

Source: OpenAPI Specification 3.1.1.
"""

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from anchorwatch import __version__
from anchorwatch.web.incidents import SHORTEST_ID
from anchorwatch.web.operations import FORM, HTML, JSON, STREAM, Operation, Parameter
from anchorwatch.web.problems import MEDIA_TYPE, Problem
from anchorwatch.web.session import COOKIE

REF = "#/components/schemas/{name}"
EVERYWHERE = (400, 421, 500)
"""What any door may answer: a request or a host that does not fit, a fault of ours."""
GUARDED = (401, 403)
"""Besides, where a token is asked for."""
ASKED = (404, 503)
"""Besides, where something is looked up: it is not there or in another process, or what knows it does not answer."""
HEADINGS = {
    303: "Go there.",
    304: "It is what If-None-Match says.",
    503: "What knows it does not answer, or it is not so.",
}
VERSION = "3.1.1"
MOST_REPEATED = 20
ABOUT = (
    "Anchorwatch watches the integrity of the names that machine identities trust. Lists are JSON arrays; more rows are"
    " at the Link with rel=next. An id may be shortened to its first four signs or more."
)


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of these doors."""
    types: list[Any] = [Problem]
    for operation in operations:
        types += [one for one in (operation.answers, operation.body) if one is not None and one not in types]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    schema_of = dict(zip(map(_key, types), schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        path = re.sub(r":path\}", "}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, path, schema_of)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Anchorwatch",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of http.token_file."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "The session of somebody who signed in.",
                },
            },
        },
    }


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(operation: Operation, path: str, schema_of: dict[str, Any]) -> dict[str, Any]:
    summary, _, more = inspect.cleandoc(operation.handler.__doc__ or "").partition("\n")
    found: dict[str, Any] = {
        "operationId": _operation_id(operation),
        "summary": summary.replace("``", ""),
        "responses": _responses(operation, schema_of),
        "security": [] if operation.is_open or operation.signature else [{"token": []}, {"session": []}],
    }
    if more.strip():
        found["description"] = more.strip().replace("``", "`")
    parameters = [_in_path(name) for name in re.findall(r"\{([\w:]+)\}", operation.path)]
    parameters += [_in_query(one) for one in operation.parameters]
    if operation.signature:
        parameters.append({"name": operation.signature, "in": "header", "required": True, "schema": {"type": "string"}})
    if operation.media_type == STREAM:
        parameters.append({"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}})
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema_of[_key(operation.body)]}}}
    if operation.form:
        fields = {name: {"type": "string"} for name in operation.form}
        found["requestBody"] = {"content": {FORM: {"schema": {"type": "object", "properties": fields}}}}
    return found


def _operation_id(operation: Operation) -> str:
    words = re.findall(r"[a-z]+", operation.path.replace("/api/v1", "").replace(":path", ""))
    return "_".join((operation.method.lower(), *words))


def _in_path(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name in ("id", "digest"):
        schema = {"type": "string", "pattern": f"^[0-9A-Fa-f]{{{SHORTEST_ID},64}}$"}
    return {"name": name.removesuffix(":path"), "in": "path", "required": True, "schema": schema}


def _in_query(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "enum": list(one.values)} if one.values else dict(one.schema)
    if one.repeated:
        schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": MOST_REPEATED}
    return {"name": one.name, "in": "query", "description": one.text, "required": one.required, "schema": schema}


def _responses(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answers is not None:
        good["content"] = {JSON: {"schema": schema_of[_key(operation.answers)]}}
    elif operation.status != 303:
        good["content"] = {operation.media_type: {"schema": {"type": "string"}}}
    headers: dict[str, Any] = {}
    if operation.pages:
        headers["Link"] = {"description": "Where the next page is, with rel=next.", "schema": {"type": "string"}}
    found = {str(operation.status): good}
    if operation.answers is not None and not operation.acts:
        headers["ETag"] = {"description": "For If-None-Match.", "schema": {"type": "string"}}
        found["304"] = {"description": HEADINGS[304]}
    if headers:
        good["headers"] = headers
    errors = {*EVERYWHERE, *operation.errors}
    if not operation.is_open:
        errors |= {*GUARDED, *ASKED}
    if operation.acts:
        errors.add(403)
    for status in sorted(errors):
        found[str(status)] = _error(operation, status, schema_of)
    return dict(sorted(found.items()))


def _error(operation: Operation, status: int, schema_of: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": HEADINGS.get(status, HTTPStatus(status).phrase)}
    if status == 303:
        return said
    said["content"] = {MEDIA_TYPE: {"schema": schema_of[_key(Problem)]}}
    if operation.media_type == HTML or (status == 503 and operation.is_open):
        said["content"][operation.media_type] = {"schema": {"type": "string"}}
    if status in (429, 503):
        said["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    if status == 401:
        said["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return said
