"""Ask a language model, of whichever provider, through pydantic-ai; the library is loaded when a model is first asked.

What comes back is read within bounds, of all providers by the one client that they are given. Nothing is asked twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from placet.errors import ModelUnavailable, NotConfigured, TooMuchWork
from placet.sentences import sentence
from service.drafting.instructions import Message
from service.drafting.settings import DraftingSettings

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_LONGEST_ANSWER: Final = 16_000  # tokens
_log = structlog.get_logger(__name__)


class LanguageModel(Protocol):
    """Something that answers messages with a text."""

    async def ask(self, messages: Sequence[Message]) -> str:
        """Return the answer; raises ModelUnavailable and TooMuchWork."""
        ...


class AnswerTooLarge(Exception):
    """The answer of a model is larger than is read."""


@asynccontextmanager
async def language_model(settings: DraftingSettings) -> AsyncIterator[LanguageModel]:
    """Give the model of these settings; raises NotConfigured where its provider's library is not installed."""
    # Loading takes seconds, in which this process answers others.
    model, client = await asyncio.to_thread(_load, settings)
    try:
        yield _Asked(settings, model)
    finally:
        await client.aclose()


class _Asked:
    """A model of a provider."""

    def __init__(self, settings: DraftingSettings, model: Model) -> None:
        self._settings = settings
        self._model = model

    async def ask(self, messages: Sequence[Message]) -> str:
        from pydantic_ai.direct import model_request
        from pydantic_ai.exceptions import ModelHTTPError

        try:
            answer = await model_request(
                self._model,
                _written(messages),
                model_settings={"max_tokens": _LONGEST_ANSWER, "timeout": self._settings.seconds},
            )
        except Exception as error:
            if _caused_by(error, AnswerTooLarge):
                raise TooMuchWork(
                    sentence(
                        "The answer of the language model is larger than {most} bytes; describe a smaller process.",
                        most=self._settings.answer_bytes,
                    )
                ) from None
            # Whatever a library makes of an answer that it did not expect, there is none. What a provider says may
            # repeat what it was sent, so only its kind is logged.
            status = error.status_code if isinstance(error, ModelHTTPError) else None
            _log.warning("language_model_failed", model=self._settings.model, kind=type(error).__name__, status=status)
            raise ModelUnavailable from None
        return answer.text or ""


def _load(settings: DraftingSettings) -> tuple[Model, Any]:
    try:
        from pydantic_ai.exceptions import UserError
        from pydantic_ai.models import infer_model
        from pydantic_ai.providers import infer_provider_class
    except ImportError:
        raise _missing(settings) from None

    from service.drafting.bounded_client import bounded_client

    client = bounded_client(settings)

    def provider(name: str) -> Any:
        chosen = infer_provider_class(name)
        given: dict[str, Any] = {"http_client": client}
        if settings.key is not None or settings.url is not None:
            given["api_key"] = settings.key or "none"  # servers of one's own often need none
        if settings.url is not None:
            given["base_url"] = settings.url
        made = chosen(**given)
        if hasattr(made.client, "max_retries"):
            made.client.max_retries = 0
        return made

    try:
        return infer_model(settings.model, provider_factory=provider), client
    except ImportError:
        raise _missing(settings) from None
    except (UserError, ValueError, TypeError) as error:
        _log.warning("language_model_unusable", model=settings.model, kind=type(error).__name__)
        raise NotConfigured(
            sentence(
                "The language model {model!r} cannot be used as it is set up, and nothing was sent. Write its provider "
                "and its name, such as openai-chat:NAME, and set its key; see docs/drafting.md.",
                model=settings.model,
            )
        ) from None


def _missing(settings: DraftingSettings) -> NotConfigured:
    return NotConfigured(
        sentence(
            "The library for the language model {model!r} is not installed, and nothing was sent. Install "
            "placet[drafting], or pydantic-ai-slim with the extra of this provider.",
            model=settings.model,
        )
    )


def _written(messages: Sequence[Message]) -> list[Any]:
    from pydantic_ai.messages import ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart

    found: list[Any] = []
    for message in messages:
        match message.role:
            case "system":
                found.append(ModelRequest(parts=[SystemPromptPart(content=message.content)]))
            case "user":
                found.append(ModelRequest(parts=[UserPromptPart(content=message.content)]))
            case "assistant":
                found.append(ModelResponse(parts=[TextPart(content=message.content)]))
    return found


def _caused_by(error: BaseException | None, kind: type[Exception]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
