"""The client of Placet's HTTP API: ask for an approval, wait for it, claim it. It needs httpx and nothing else.

    from placet.client import Action, Client

    with Client() as placet:  # PLACET_URL, PLACET_TOKEN
        request = placet.start("Payments", {"amount": "820.00"}, action=transfer)
        placet.wait_for_approval(request.id)
        placet.claim(request.id, transfer)  # once, and only for what was approved

`docs/client.md` has the rest.
"""

from placet.client.approval import Arguments, requires_approval
from placet.client.asynchronous import AsyncClient
from placet.client.blocking import Client
from placet.client.documents import (
    Action,
    Claim,
    Entry,
    Finding,
    ListedTask,
    Me,
    NextAct,
    Page,
    Question,
    Request,
    Simulation,
    Task,
    Template,
    Verification,
    Waiting,
    WaitsFor,
)
from placet.client.errors import (
    ActionExpired,
    AlreadyClaimed,
    ArgumentsChanged,
    Busy,
    Cancelled,
    ChangesRequested,
    ClaimRefused,
    ClientError,
    Conflict,
    DigestMismatch,
    EndedOtherwise,
    Expired,
    Failed,
    Fault,
    Invalid,
    Misconfigured,
    NotApproved,
    NotAuthenticated,
    NotFound,
    NotGranted,
    NotPermitted,
    Problem,
    Rejected,
    StillPending,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    Withdrawn,
    require_approved,
)
from placet.client.retries import Retries

__all__ = [
    "Action",
    "ActionExpired",
    "AlreadyClaimed",
    "Arguments",
    "ArgumentsChanged",
    "AsyncClient",
    "Busy",
    "Cancelled",
    "ChangesRequested",
    "Claim",
    "ClaimRefused",
    "Client",
    "ClientError",
    "Conflict",
    "DigestMismatch",
    "EndedOtherwise",
    "Entry",
    "Expired",
    "Failed",
    "Fault",
    "Finding",
    "Invalid",
    "ListedTask",
    "Me",
    "Misconfigured",
    "NextAct",
    "NotApproved",
    "NotAuthenticated",
    "NotFound",
    "NotGranted",
    "NotPermitted",
    "Page",
    "Problem",
    "Question",
    "Rejected",
    "Request",
    "Retries",
    "Simulation",
    "StillPending",
    "Task",
    "Template",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Verification",
    "Waiting",
    "WaitsFor",
    "Withdrawn",
    "require_approved",
    "requires_approval",
]
