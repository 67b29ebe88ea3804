"""The HTTP client that asks a language model: it follows no redirect, and reads an answer only up to its bound."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2

from service.drafting.language_model import AnswerTooLarge
from service.drafting.settings import DraftingSettings


def bounded_client(settings: DraftingSettings) -> httpx2.AsyncClient:
    """Return the client; close it afterwards."""
    return httpx2.AsyncClient(
        transport=_Bounded(settings.answer_bytes), timeout=settings.seconds, follow_redirects=False
    )


class _Bounded(httpx2.AsyncBaseTransport):
    """Raises AnswerTooLarge while an answer is read that is larger than it may be."""

    def __init__(self, most: int) -> None:
        self._inner = httpx2.AsyncHTTPTransport()
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        # Packed, a small answer could become a large one.
        request.headers["Accept-Encoding"] = "identity"
        answer = await self._inner.handle_async_request(request)
        assert isinstance(answer.stream, httpx2.AsyncByteStream)  # noqa: S101 - of an asynchronous transport
        return httpx2.Response(
            answer.status_code,
            headers=answer.headers,
            stream=_Counted(answer.stream, self._most),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            self._left -= len(piece)
            if self._left < 0:
                raise AnswerTooLarge
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
