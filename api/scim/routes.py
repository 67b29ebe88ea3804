"""The routes of SCIM. Each needs a token of an admin with the scope `scim`."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from api.context import ApiContext
from api.deps import Caller, Here
from api.http.authentication import authenticate
from api.http.calls import read_bytes
from api.http.problems import problem_of, status_of, validation_problem
from api.scim import documents
from api.scim.documents import ERROR, MOST, wrong
from api.scim.patch import patched
from placet.definition.validation_messages import sentence_of
from placet.errors import Busy, InputInvalid, LastAdmin, NotPermitted, PlacetError, Problem
from placet.json_pointer import pointer_of
from placet.json_text import read_json
from service.administration.groups import put_group, remove_group
from service.administration.people import create_person, name_outside, put_person
from service.administration.person_document import PersonDocument
from service.principal import Principal
from storage.queries.identity import provisioning
from storage.queries.identity.provisioning import Filter
from storage.queries.people import people
from storage.tables.approvals import StoredPerson

PREFIX = "/scim/v2"
MEDIA_TYPE = "application/scim+json"
_FILTER = re.compile(r'^\s*([\w.:]+)\s+eq\s+"((?:[^"\\]|\\.)*)"\s*$', re.IGNORECASE)
_TYPES = {409: "uniqueness", 400: "invalidValue"}
_GROUP_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}$")


class ScimRoute(APIRoute):
    """A route that a token with the scope `scim` may call; errors are those of SCIM."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route in the check of the token."""
        handle = super().get_route_handler()

        async def provisioned(request: Request) -> Response:
            context: ApiContext = request.app.state.context
            try:
                principal = await authenticate(context, request)
                request.state.principal = principal
                request.state.principal = _provisioner(principal)
                if request.method in {"POST", "PUT", "PATCH"}:
                    request.state.sent = read_json(await read_bytes(request, context.max_body_bytes))
                return await handle(request)
            except PlacetError as error:
                return _refused(error)
            except RequestValidationError as error:
                return _error(400, validation_problem(error)["detail"])
            except HTTPException as error:
                return _error(error.status_code, str(error.detail), dict(error.headers or {}))

        return provisioned


router = APIRouter(prefix=PREFIX, route_class=ScimRoute, include_in_schema=False, default_response_class=JSONResponse)
Start = Annotated[int, Query(alias="startIndex")]
Count = Annotated[int, Query()]
Where = Annotated[str | None, Query(alias="filter", max_length=1000)]


@router.get("/ServiceProviderConfig")
async def read_config(request: Request) -> Response:
    """Show what is supported."""
    return _answer(documents.service_provider(_base(request)))


@router.get("/ResourceTypes")
async def list_resource_types(request: Request) -> Response:
    """List the types of resources."""
    found = documents.resource_types(_base(request))
    return _answer(documents.listed(found, len(found), 1))


@router.get("/Schemas")
async def list_schemas(request: Request) -> Response:
    """List the attributes that are read."""
    found = documents.schemas(_base(request))
    return _answer(documents.listed(found, len(found), 1))


@router.get("/Users")
async def list_users(
    request: Request, context: Here, start: Start = 1, count: Count = 100, where: Where = None
) -> Response:
    """List people, all or those that a filter names."""
    first, most = max(start, 1), min(max(count, 0), MOST)
    rows, total = await context.database.read(provisioning.users, start=first, count=most, where=_filter(where))
    return _answer(documents.listed([documents.user_of(row, _base(request)) for row in rows], total, first))


@router.post("/Users")
async def create_user(request: Request, context: Here, caller: Caller) -> Response:
    """Add a person. Their access is the usual one, `requester` and `approver`."""
    sent = _object(request.state.sent)
    given = _document(documents.person_of(sent, None))
    await create_person(context, caller, given)
    return await _stored_user(request, context, caller, given.id, _external_id(sent), status=201)


@router.get("/Users/{user_id}")
async def read_user(request: Request, context: Here, user_id: str) -> Response:
    """Show a person."""
    return _answer(documents.user_of(await context.database.read(people.get, user_id), _base(request)))


@router.put("/Users/{user_id}")
async def replace_user(request: Request, context: Here, caller: Caller, user_id: str) -> Response:
    """Replace what SCIM knows of a person. One who becomes inactive has left: their open tasks move on."""
    return await _replaced(request, context, caller, user_id, _object(request.state.sent))


@router.patch("/Users/{user_id}")
async def patch_user(request: Request, context: Here, caller: Caller, user_id: str) -> Response:
    """Change parts of a person."""
    before = await context.database.read(people.get, user_id)
    changed = patched(documents.user_of(before, _base(request)), request.state.sent)
    return await _replaced(request, context, caller, user_id, changed)


@router.delete("/Users/{user_id}")
async def delete_user(request: Request, context: Here, caller: Caller, user_id: str) -> Response:
    """Deactivate a person. They are kept, since requests and audit chains name them."""
    before = await context.database.read(people.get, user_id)
    user = {**documents.user_of(before, _base(request)), "active": False}
    await _replaced(request, context, caller, user_id, user)
    return Response(status_code=204)


@router.get("/Groups")
async def list_groups(
    request: Request, context: Here, start: Start = 1, count: Count = 100, where: Where = None
) -> Response:
    """List the groups that SCIM provisioned."""
    first, most = max(start, 1), min(max(count, 0), MOST)
    rows, total = await context.database.read(provisioning.groups, start=first, count=most, where=_filter(where))
    shown = [
        documents.group_of(row, await context.database.read(provisioning.members, row.name), _base(request))
        for row in rows
    ]
    return _answer(documents.listed(shown, total, first))


@router.post("/Groups")
async def create_group(request: Request, context: Here, caller: Caller) -> Response:
    """Add a group, with exactly these members."""
    return await _stored_group(request, context, caller, None, _object(request.state.sent))


@router.get("/Groups/{group_id}")
async def read_group(request: Request, context: Here, group_id: str) -> Response:
    """Show a group with its members."""
    return _answer(await _group(request, context, group_id))


@router.put("/Groups/{group_id}")
async def replace_group(request: Request, context: Here, caller: Caller, group_id: str) -> Response:
    """Replace a group and its members."""
    return await _stored_group(request, context, caller, group_id, _object(request.state.sent))


@router.patch("/Groups/{group_id}")
async def patch_group(request: Request, context: Here, caller: Caller, group_id: str) -> Response:
    """Rename a group, and add or remove members."""
    changed = patched(await _group(request, context, group_id), request.state.sent)
    return await _stored_group(request, context, caller, group_id, changed)


@router.delete("/Groups/{group_id}")
async def delete_group(context: Here, caller: Caller, group_id: str) -> Response:
    """Delete a group; nobody is in it any more."""
    await remove_group(context, caller, group_id)
    return Response(status_code=204)


def _provisioner(principal: Principal) -> Principal:
    """Return the admin whose token this is; raises NotPermitted for any other token."""
    if not principal.provisions:
        raise NotPermitted("SCIM needs a token of an admin with the scope `scim`: `placet token PERSON --scope scim`.")
    return Principal(person=principal.person, access=frozenset({"admin"}), actor_type=principal.actor_type, way="scim")


async def _replaced(
    request: Request, context: ApiContext, caller: Principal, user_id: str, user: dict[str, Any]
) -> Response:
    before: StoredPerson = await context.database.read(people.get, user_id)
    given = documents.person_of(user, before)
    if str(given["id"]).lower() != user_id.lower():
        raise wrong("/userName", f"is {user_id!r} and cannot change; create a new person instead")
    await put_person(context, caller, before.id, _document({**given, "id": before.id}))
    return await _stored_user(request, context, caller, before.id, _external_id(user))


async def _stored_user(
    request: Request, context: ApiContext, caller: Principal, person: str, external_id: str | None, *, status: int = 200
) -> Response:
    await name_outside(context, caller, person, external_id)
    user = documents.user_of(await context.database.read(people.get, person), _base(request))
    return _answer(user, status)


async def _group(request: Request, context: ApiContext, group_id: str) -> dict[str, Any]:
    row = await context.database.read(provisioning.group, group_id)
    return documents.group_of(row, await context.database.read(provisioning.members, row.name), _base(request))


async def _stored_group(
    request: Request, context: ApiContext, caller: Principal, group_id: str | None, sent: dict[str, Any]
) -> Response:
    name = sent.get("displayName")
    if not isinstance(name, str) or not _GROUP_NAME.match(name):
        raise wrong("/displayName", "write a name of letters, digits and . _ @ + -, at most 128, without spaces")
    row = await put_group(
        context, caller, group_id, name=name, external_id=_external_id(sent), wanted=documents.members_of(sent)
    )
    return _answer(await _group(request, context, row.id), 201 if group_id is None else 200)


def _document(given: dict[str, Any]) -> PersonDocument:
    try:
        return PersonDocument.model_validate(given)
    except ValidationError as error:
        problems = tuple(
            Problem(pointer=pointer_of(e["loc"]), message=sentence_of(e))
            for e in error.errors(include_url=False, include_context=False)
        )
        raise InputInvalid(problems=problems) from error


def _external_id(sent: dict[str, Any]) -> str | None:
    value = sent.get("externalId")
    if value is not None and (not isinstance(value, str) or len(value) > 200):
        raise wrong("/externalId", "write a text of at most 200 characters")
    return value


def _object(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise wrong("", "write an object")
    return sent


def _filter(text: str | None) -> Filter | None:
    if text is None:
        return None
    found = _FILTER.match(text)
    if found is None:
        raise wrong("/filter", 'write a filter as ATTRIBUTE eq "VALUE", such as userName eq "mia"')
    name = found[1].rpartition(":")[2] if found[1].startswith("urn:") else found[1]
    return name.lower(), re.sub(r"\\(.)", r"\1", found[2])


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{PREFIX}"


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(document, status, media_type=MEDIA_TYPE)


def _refused(error: PlacetError) -> Response:
    document = problem_of(error)
    status = 400 if isinstance(error, InputInvalid) else status_of(error)
    detail = document["detail"]
    if error.problems:
        detail = f"{error.problems[0].pointer}: {error.problems[0].message}"
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Busy) else None
    kind = "invalidFilter" if error.problems and error.problems[0].pointer == "/filter" else None
    if isinstance(error, LastAdmin):  # not compatible with the current state, RFC 7644 3.12
        kind = "mutability"
    return _error(status, detail, headers, kind)


def _error(status: int, detail: str, headers: dict[str, str] | None = None, kind: str | None = None) -> Response:
    document = {"schemas": [ERROR], "status": str(status), "detail": detail}
    if kind or status in _TYPES:
        document["scimType"] = kind or _TYPES[status]
    return JSONResponse(document, status, headers, media_type=MEDIA_TYPE)
