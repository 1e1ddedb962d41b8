"""A provider's batch API on the loopback, for whoever asks in batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiohttp import web

Row = dict[str, Any]


def late() -> None:
    """After the one before it in ``troubles``: the call is done, and its answer lost."""


def good(line: Row) -> Row:
    """The row of a request that went well: its own words, with a bang."""
    body = line["body"]
    if "prompt" in body:
        choice = {"text": body["prompt"] + "!", "finish_reason": "stop"}
    else:
        choice = {"message": {"content": body["messages"][0]["content"] + "!"}, "finish_reason": "stop"}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": answer}, "error": None}


def failed(line: Row, status: int, message: str = "no") -> Row:
    fault = {"error": {"message": message, "code": "x"}}
    return {"custom_id": line["custom_id"], "response": {"status_code": status, "body": fault}, "error": None}


def expired(line: Row) -> Row:
    return {"custom_id": line["custom_id"], "response": None, "error": {"code": "batch_expired", "message": "too late"}}


class Provider:
    """A provider's /files and /batches, which does its work between two questions."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.batches: dict[str, Row] = {}
        self.calls: Counter[str] = Counter()
        self.troubles: dict[str, list[Callable[[], web.Response | None]]] = {}
        """What goes wrong at the next calls, by "POST /files" and the like."""
        self.ends: list[Callable[[list[Row]], tuple[str, list[Row] | bytes, list[Row]]]] = []
        """How the next batches end: status, output, errors. Without any, all goes well."""
        self.polls_needed = 1
        self.lists = True

    def file(self, content: bytes, name: str = "") -> str:
        self.files[made := f"file-{len(self.files)}"] = content
        self.names[made] = name
        return made

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        part = form["file"]
        assert isinstance(part, web.FileField)
        return self.answer("POST /files", lambda: {"id": self.file(part.file.read(), part.filename)})

    async def at_once(self, request: web.Request) -> web.Response:
        """A request that comes by itself, answered as one in a batch is."""
        line = {"custom_id": "", "body": await request.json()}
        return self.answer(f"POST {request.path}", lambda: good(line)["response"]["body"])

    async def create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        assert wanted["completion_window"] == "24h"

        def begin() -> Row:
            lines = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines()]
            assert {line["url"] for line in lines} == {wanted["endpoint"]}
            made = f"batch-{len(self.batches)}"
            self.batches[made] = {"id": made, "status": "validating", "lines": lines, "polls": 0, **wanted}
            return {"id": made, "status": "validating"}

        return self.answer("POST /batches", begin)

    async def poll(self, request: web.Request) -> web.Response:
        return self.answer("GET /batch", lambda: self.shown(self.batches[request.match_info["id"]]))

    def shown(self, batch: Row) -> Row:
        batch["polls"] += 1
        if batch["polls"] >= self.polls_needed and batch["status"] in ("validating", "in_progress"):
            end = self.ends.pop(0) if self.ends else lambda lines: ("completed", [good(line) for line in lines], [])
            batch["status"], output, errors = end(batch["lines"])
            for name, rows in (("output_file_id", output), ("error_file_id", errors)):
                content = (
                    rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
                )
                batch[name] = self.file(content) if content else None
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return {name: value for name, value in batch.items() if name not in ("lines", "polls")}

    async def content(self, request: web.Request) -> web.Response:
        return self.answer("GET /content", lambda: self.files[request.match_info["id"]])

    async def listing(self, request: web.Request) -> web.Response:
        """Two a page, the newest first."""
        if not self.lists:
            return web.Response(status=404)
        if request.path.endswith("/files"):
            there = [{"id": file_id, "filename": name} for file_id, name in self.names.items()]
        else:
            there = [{"id": each["id"], "input_file_id": each["input_file_id"]} for each in self.batches.values()]
        there.reverse()
        begin = 1 + [each["id"] for each in there].index(request.query["after"]) if "after" in request.query else 0
        page = {"data": there[begin : begin + 2], "has_more": len(there) > begin + 2}
        return self.answer("GET list", lambda: page)

    def answer(self, call: str, make: Callable[[], Row | bytes]) -> web.Response:
        self.calls[call] += 1
        trouble = self.troubles.get(call)
        if trouble and (instead := trouble.pop(0)()) is not None:
            return instead
        made = make()
        if trouble and trouble[0] is late:
            trouble.pop(0)
            return web.Response(status=500, text="it was done, but you do not hear of it")
        return web.Response(body=made) if isinstance(made, bytes) else web.json_response(made)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_get("/v1/files", self.listing)
        app.router.add_get("/v1/files/{id}/content", self.content)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.listing)
        app.router.add_get("/v1/batches/{id}", self.poll)
        app.router.add_post("/v1/completions", self.at_once)
        app.router.add_post("/v1/chat/completions", self.at_once)
        return app
