"""The OpenAPI document, made from the models of the questions and of the answers."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from execlog.web.api import ENDPOINTS, Endpoint
from execlog.web.filters import MODEL
from execlog.web.problems import Problem

__all__ = ["document", "prepared"]

_REFERENCE = "#/components/schemas/{model}"
_ANY_TEXT = {"type": "string", "minLength": 1}
_PROBLEMS = {
    "400": "A parameter is wrong.",
    "401": "The token is missing.",
    "403": "This is not yours to see.",
    "503": "The log can't be read, or not in time.",
}


def document(root: str) -> dict[str, Any]:
    """The document, as OpenAPI 3.1. Never raises.

    Args:
        root: The path where we are mounted; empty if at none.
    """
    return {**prepared(), "servers": [{"url": root or "/"}]}


@functools.cache
def prepared() -> dict[str, Any]:
    """The document without the path where we are mounted; made once. Never raises."""
    _, schemas = models_json_schema([(Problem, "serialization")], ref_template=_REFERENCE)
    paths = {}
    for endpoint in ENDPOINTS:
        answer = TypeAdapter(endpoint.answer).json_schema(
            by_alias=True, mode="serialization", ref_template=_REFERENCE
        )
        schemas["$defs"].update(answer.pop("$defs", {}))
        paths["/api" + re.sub(r":\w+}", "}", endpoint.path)] = {"get": _operation(endpoint, answer)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "execlog", "version": metadata.version("execlog")},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def _operation(endpoint: Endpoint, answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"description": endpoint.question, **_body("application/json", answer)}
    if endpoint.has_csv:
        found["content"].update(_body("text/csv", {"type": "string"})["content"])
    if endpoint.is_paged:
        found["headers"] = {
            "Link": {"description": 'rel="next": the next page.', "schema": {"type": "string"}}
        }
    problem = _body("application/problem+json", {"$ref": _REFERENCE.format(model="Problem")})
    problems = {**_PROBLEMS, "404": "There is none."} if "{id}" in endpoint.path else _PROBLEMS
    return {
        "summary": endpoint.question,
        "operationId": endpoint.read.__name__.removeprefix("_"),
        "parameters": list(_parameters(endpoint)),
        "responses": {
            "200": found,
            **{status: {"description": text, **problem} for status, text in problems.items()},
        },
    }


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    if "{id" in endpoint.path:
        is_execution = endpoint.path.startswith("/executions")
        form = {"type": "string", "format": "uuid"} if is_execution else _ANY_TEXT
        yield {"name": "id", "in": "path", "required": True, "schema": form}
    models = [] if endpoint.query is None else [endpoint.query]
    for model in [*models, *([MODEL] if endpoint.is_filtered else [])]:
        yield from _of_model(model)


def _of_model(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    schema = model.model_json_schema()
    required: Sequence[str] = schema.get("required", ())
    for name, form in schema["properties"].items():
        yield {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": form.pop("description", ""),
            "schema": _without_null(form),
        }


def _without_null(form: dict[str, Any]) -> dict[str, Any]:
    """The schema without null: a parameter is left out, never null."""
    form.pop("title", None)
    if form.get("default", 0) is None:
        form.pop("default")
    choices = [one for one in form.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        return {**{key: value for key, value in form.items() if key != "anyOf"}, **choices[0]}
    return {**form, "anyOf": choices} if choices else form


def _body(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {media_type: {"schema": schema}}}
