"""An OpenAI-compatible server on loopback that speaks vLLM's dialect, or less, or nonsense.

Its model is a rule: after token n comes token (n + 2) % 10, with probability 0.6, and the next
three have 0.2, 0.1 and 0.05. Every word of the vocabulary is one token.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("One", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
SHARES = (0.6, 0.2, 0.1, 0.05)
MODEL = "org/counter"

Behave = Callable[["Handler", dict[str, Any]], bool]


def ids_of(text: str) -> list[int]:
    """The tokens of a text of the vocabulary's words."""
    ids = []
    while text:
        id = next(n for n, word in enumerate(WORDS) if text.startswith(word))
        ids.append(id)
        text = text.removeprefix(WORDS[id])
    return ids


def after(id: int) -> list[tuple[int, float]]:
    """The likeliest tokens after one, with their probabilities."""
    return [((id + 2 + k) % len(WORDS), share) for k, share in enumerate(SHARES)]


def greedy(ids: Sequence[int], count: int) -> list[int]:
    """What the rule writes."""
    last = ids[-1]
    return [(last + 2 * (n + 1)) % len(WORDS) for n in range(count)]


class Handler(BaseHTTPRequestHandler):
    """One request; ``server`` is the StandIn's."""

    server: Any

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        stand_in = self.server.stand_in
        stand_in.seen.append((self.path, dict(self.headers), None))
        if stand_in.behave and stand_in.behave(self, {}):
            return
        if self.path == "/v1/models":
            owner = "vllm" if stand_in.dialect == "vllm" else "somebody"
            self.answer({"object": "list", "data": [
                {"id": MODEL, "object": "model", "owned_by": owner, "max_model_len": 4096}]})
        else:
            self.answer({"error": {"message": "no such route"}}, 404)

    def do_POST(self) -> None:
        stand_in = self.server.stand_in
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        stand_in.seen.append((self.path, dict(self.headers), body))
        if stand_in.behave and stand_in.behave(self, body):
            return
        routes = {"/v1/completions": self.complete, "/v1/chat/completions": self.chat,
                  "/tokenize": self.tokenize, "/detokenize": self.detokenize}
        if stand_in.dialect == "chat only":
            routes = {"/v1/chat/completions": self.chat}
        route = routes.get(self.path)
        if route is None:
            self.answer({"error": {"message": "no such route"}}, 404)
        else:
            route(body)

    def answer(self, told: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Whole JSON."""
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        """The head of a stream that ends with the connection."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()

    def event(self, told: Any) -> None:
        """One event of a stream."""
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.wfile.write(b"data: " + data + b"\n\n")
        self.wfile.flush()

    def tokenize(self, body: dict[str, Any]) -> None:
        text = body.get("prompt")
        ids = [1, *ids_of("One")] if text is None else ids_of(text)
        self.answer({"tokens": ids, "count": len(ids), "max_model_len": 4096,
                     "token_strs": [WORDS[id].replace(" ", "Ġ") for id in ids]})

    def detokenize(self, body: dict[str, Any]) -> None:
        self.answer({"prompt": "".join(WORDS[id] for id in body["tokens"])})

    def refused(self, body: dict[str, Any]) -> bool:
        """As vLLM refuses numbers out of range."""
        wrong = next((name for name, bad in (
            ("top_k", body.get("top_k", 0) < -1), ("min_p", not 0 <= body.get("min_p", 0) <= 1),
            ("repetition_penalty", body.get("repetition_penalty", 1) <= 0),
            ("min_tokens", body.get("min_tokens", 0) < 0),
            ("logprobs", (body.get("logprobs") or 0) > 10),
        ) if bad), None)
        if wrong and self.server.stand_in.dialect == "vllm":
            self.answer({"error": {"message": f"{wrong} is out of range", "code": 400}}, 400)
            return True
        return False

    def complete(self, body: dict[str, Any]) -> None:
        if self.refused(body):
            return
        vllm = self.server.stand_in.dialect == "vllm"
        prompt = body["prompt"]
        if isinstance(prompt, list) and not vllm:
            self.answer({"detail": "prompt must be a string"}, 422)
            return
        try:
            ids = prompt if isinstance(prompt, list) else ids_of(prompt)
        except StopIteration:  # a probe's words
            ids = [0] if not isinstance(prompt, list) else prompt
        new = greedy(ids, body["max_tokens"])
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(new)}
        if body.get("stream"):
            self.begin_stream()
            for n, id in enumerate(new):
                choice = self.choice([id], [*ids, *new][len(ids) + n - 1], body)
                choice["finish_reason"] = "length" if n == len(new) - 1 else None
                if n == 0 and body.get("return_token_ids"):
                    choice["prompt_token_ids"] = ids
                self.event({"choices": [choice]})
                self.server.stand_in.pause()
            self.event({"choices": [], "usage": usage})
            self.event(b"[DONE]")
            return
        choice = self.choice(new, ids[-1], body) | {"finish_reason": "length"}
        if vllm and body.get("return_token_ids"):
            choice["prompt_token_ids"] = ids
        if vllm and body.get("prompt_logprobs"):
            choice["prompt_logprobs"] = [None, *(
                self.of_prompt(ids[n - 1], ids[n], body["prompt_logprobs"])
                for n in range(1, len(ids)))]
        self.answer({"choices": [choice], "usage": usage})

    def of_prompt(self, before: int, id: int, count: int) -> dict[str, Any]:
        """As vLLM tells a token of the prompt: itself first, then the likeliest."""
        known = dict(after(before))
        rank = 1 + list(known).index(id) if id in known else 9
        listed = {id: (known.get(id, 0.01), rank)} | {
            one: (share, n + 1) for n, (one, share) in enumerate(after(before)[:count])}
        return {str(one): {"logprob": math.log(share), "rank": rank, "decoded_token": WORDS[one]}
                for one, (share, rank) in listed.items()}

    def choice(self, ids: list[int], before: int, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"index": 0, "text": "".join(WORDS[id] for id in ids)}
        if self.server.stand_in.dialect != "vllm":
            return made
        if body.get("logprobs"):
            tops, last = [], before
            for id in ids:
                tops.append({WORDS[one]: math.log(share)
                             for one, share in after(last)[: body["logprobs"]]})
                last = id
            made["logprobs"] = {
                "tokens": [WORDS[id] for id in ids], "top_logprobs": tops,
                "token_logprobs": [math.log(SHARES[0])] * len(ids),
                "text_offset": [0] * len(ids),
            }
        if body.get("return_token_ids"):
            made["token_ids"] = ids
        return made

    def chat(self, body: dict[str, Any]) -> None:
        new = greedy([0], body["max_tokens"])
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS[id] for id in new)}
            self.answer({"choices": [{"index": 0, "message": message, "finish_reason": "length"}],
                         "prompt_token_ids": [1, 0]})
            return
        self.begin_stream()
        for n, id in enumerate(new):
            self.event({"choices": [{
                "index": 0, "delta": {"content": WORDS[id]},
                "finish_reason": "length" if n == len(new) - 1 else None}]})
            self.server.stand_in.pause()
        self.event(b"[DONE]")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    stand_in: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever reads it went away in the middle: that is what is waited for."""
        self.stand_in.disconnected.set()


class StandIn:
    """The server: what it was asked (``seen``), and how it misbehaves.

    ``behave`` is called first with the handler and the body; what it answers True for is done.
    ``held`` keeps every later token of a stream back until it is set.
    """

    def __init__(self, dialect: str = "vllm") -> None:
        self.dialect = dialect
        self.behave: Behave | None = None
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.disconnected = threading.Event()
        self.held: threading.Event | None = None
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.stand_in = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the runs that it was asked for."""
        return [body for _, _, body in self.seen if body and body.get("stream")]

    def pause(self) -> None:
        """Between two tokens."""
        if self.held is not None:
            self.held.wait(20)

    def close(self) -> None:
        """End it."""
        if self.held is not None:
            self.held.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def stand_in(dialect: str = "vllm") -> Iterator[StandIn]:
    """A server for the time of a block."""
    made = StandIn(dialect)
    try:
        yield made
    finally:
        made.close()
