"""A model that answers from a function: for tests, for demonstrations and for dry runs of a study."""

from __future__ import annotations

from collections.abc import Callable

from proofset.nouns.result import Usage
from proofset.plugins import Reply, Request


class ScriptedChat:
    """A ChatModel whose replies you write. Counts words as tokens, so costs can be checked by hand.

    >>> import asyncio
    >>> model = ScriptedChat(lambda request: "hello")
    >>> request = Request(prompt="Say hello:", max_tokens=8, temperature=0, top_p=1, top_k=1, min_p=0, seed=0)
    >>> asyncio.run(model.reply(request)).text
    'hello'
    """

    name = "scripted"
    parallel = 4

    def __init__(self, answer: Callable[[Request], str], *, finish: str = "stop") -> None:
        """``answer`` gives the text for a request, and may raise ModelError to play a failing server."""
        self._answer, self._finish = answer, finish
        self.requests: list[Request] = []
        """Every request seen, in order of arrival."""

    async def reply(self, request: Request) -> Reply:
        """The scripted text."""
        self.requests.append(request)
        text = self._answer(request)
        usage = Usage(
            model=self.name, stage="", input_tokens=len(request.prompt.split()), output_tokens=len(text.split())
        )
        return Reply(text=text, finish=self._finish, usage=usage)

    async def close(self) -> None:
        """Nothing to let go of."""
