"""Resources of SCIM: people and groups as it writes them, and back; and what the service says about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from placet.errors import InputInvalid, Problem
from service.principal import DEFAULT_ACCESS
from storage.tables.approvals import StoredPerson
from storage.tables.identity import DirectoryGroup

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MOST: Final = 500
"""Resources of one answer."""
_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0"


def user_of(row: StoredPerson, base: str) -> dict[str, Any]:
    """Return a person as a User."""
    extension: dict[str, Any] = {"department": row.department}
    if row.manager is not None:
        extension["manager"] = {"value": row.manager.removeprefix("user:"), "$ref": f"{base}/Users/{row.manager}"}
    return _without_none(
        {
            "schemas": [USER, ENTERPRISE],
            "id": row.id,
            "externalId": row.external_id,
            "userName": row.id,
            "displayName": row.name,
            "name": {"formatted": row.name},
            "emails": [{"value": row.email, "primary": True}] if row.email else [],
            "userType": row.actor_type,
            "roles": [{"value": role} for role in row.roles],
            "groups": [{"display": group, "value": group} for group in row.groups],
            "active": row.active,
            ENTERPRISE: _without_none(extension),
            "meta": {
                "resourceType": "User",
                "lastModified": row.updated_at.isoformat(),
                "location": f"{base}/Users/{row.id}",
            },
        }
    )


def group_of(row: DirectoryGroup, members: Sequence[tuple[str, str]], base: str) -> dict[str, Any]:
    """Return a group as a Group."""
    return _without_none(
        {
            "schemas": [GROUP],
            "id": row.id,
            "externalId": row.external_id,
            "displayName": row.name,
            "members": [
                {"value": person, "display": name, "$ref": f"{base}/Users/{person}", "type": "User"}
                for person, name in members
            ],
            "meta": {
                "resourceType": "Group",
                "created": row.created_at.isoformat(),
                "lastModified": row.updated_at.isoformat(),
                "location": f"{base}/Groups/{row.id}",
            },
        }
    )


def listed(resources: Sequence[dict[str, Any]], total: int, start: int) -> dict[str, Any]:
    """Return one page of resources."""
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def person_of(user: Mapping[str, Any], before: StoredPerson | None) -> dict[str, Any]:
    """Return the document of a person (service.administration.person_document) that a User stands for.

    What SCIM does not have stays as it is: access, absences, groups, preferences. Raises InputInvalid.
    """
    extension = _object(user.get(ENTERPRISE), f"/{ENTERPRISE}")
    manager = extension.get("manager")
    manager = manager.get("value") if isinstance(manager, Mapping) else manager
    return {
        "id": _text(user.get("userName"), "/userName"),
        "name": _name(user),
        "email": _email(user.get("emails")),
        "manager": manager or None,
        "department": extension.get("department") or None,
        "roles": [_value(role) for role in _list(user.get("roles"), "/roles")],
        "groups": [] if before is None else before.groups,
        "access": list(DEFAULT_ACCESS) if before is None else before.access,
        "away": [] if before is None else before.away,
        "actor_type": (kind := str(user.get("userType") or "person").lower()),
        "principal": before.principal if before is not None and kind == "agent" else None,
        "active": truth(user.get("active", True), "/active"),
    }


def members_of(group: Mapping[str, Any]) -> list[str]:
    """Return the ids of a Group's members; raises InputInvalid."""
    return [_text(_value(member), "/members") for member in _list(group.get("members"), "/members")]


def truth(value: Any, pointer: str) -> bool:
    """Read a boolean; some identity providers write it as text. Raises InputInvalid."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise wrong(pointer, "write true or false")


def wrong(pointer: str, message: str) -> InputInvalid:
    """Return the error for a value that cannot be used."""
    return InputInvalid(problems=(Problem(pointer=pointer, message=message),))


def _name(user: Mapping[str, Any]) -> str | None:
    name = _object(user.get("name"), "/name")
    parts = " ".join(str(name[part]) for part in ("givenName", "familyName") if name.get(part))
    return str(user.get("displayName") or name.get("formatted") or parts or "") or None


def _email(value: Any) -> str | None:
    emails = [email if isinstance(email, Mapping) else {"value": email} for email in _list(value, "/emails")]
    first = next((email for email in emails if email.get("primary")), emails[0] if emails else {})
    return first.get("value") or None


def _value(item: Any) -> Any:
    return item.get("value") if isinstance(item, Mapping) else item


def _text(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or not value:
        raise wrong(pointer, "is required, as text")
    return value


def _object(value: Any, pointer: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(pointer, "write an object")
    return value


def _list(value: Any, pointer: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(pointer, "write a list")
    return value


def _without_none(value: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in value.items() if part is not None}


def service_provider(base: str) -> dict[str, Any]:
    """Return what this service supports."""
    return {
        "schemas": [f"{_CORE}:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": MOST},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": False},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Token",
                "description": "A token of an admin with the scope `scim`: `placet token PERSON --scope scim`.",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }


def resource_types(base: str) -> list[dict[str, Any]]:
    """Return the types of resources."""
    user = {"schemaExtensions": [{"schema": ENTERPRISE, "required": False}]}
    return [
        {
            "schemas": [f"{_CORE}:ResourceType"],
            "id": name,
            "name": name,
            "endpoint": f"/{name}s",
            "schema": schema,
            **more,
            "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
        }
        for name, schema, more in (("User", USER, user), ("Group", GROUP, {}))
    ]


def schemas(base: str) -> list[dict[str, Any]]:
    """Return the attributes that are read, by schema."""

    def attribute(name: str, kind: str = "string", *, many: bool = False, **more: Any) -> dict[str, Any]:
        plain = {"name": name, "type": kind, "multiValued": many, "required": False, "caseExact": False}
        return {**plain, "mutability": "readWrite", "returned": "default", "uniqueness": "none", **more}

    value = [attribute("value")]
    attributes = {
        USER: [
            attribute("userName", required=True, mutability="immutable", uniqueness="server"),
            attribute("displayName"),
            attribute("name", "complex", subAttributes=[attribute("formatted")]),
            attribute("emails", "complex", many=True, subAttributes=value),
            attribute("roles", "complex", many=True, subAttributes=value),
            attribute("userType", canonicalValues=["person", "service", "agent"]),
            attribute("active", "boolean"),
            attribute("groups", "complex", many=True, mutability="readOnly", subAttributes=value),
        ],
        GROUP: [
            attribute("displayName", required=True, uniqueness="server"),
            attribute("members", "complex", many=True, subAttributes=value),
        ],
        ENTERPRISE: [attribute("department"), attribute("manager", "complex", subAttributes=value)],
    }
    return [
        {
            "schemas": [f"{_CORE}:Schema"],
            "id": schema,
            "name": schema.rpartition(":")[2],
            "attributes": listed_attributes,
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{schema}"},
        }
        for schema, listed_attributes in attributes.items()
    ]
