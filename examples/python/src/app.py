"""Counts words. Each word is a row, an event and a timer, in one commit."""

import json
import time

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.platform_http_types import Request, Response
from wit_world.imports.platform_messaging_types import Disposition_Reject, Event
from wit_world.imports.sql import Timer, Transaction, Value_Text, query


class RequestHandler(exports.RequestHandler):
    """The host calls `handle` for each request that matches a route in plugin.toml."""

    def handle(self, request: Request) -> Response:
        try:
            if request.method == "POST":
                word = request.params[0][1]
                say(word)
                return answer(200, {"said": word})
            return answer(200, words())
        except Err as refusal:
            # The value is a variant of platform:store/sql.error.
            print("the store refused:", refusal.value)
            return answer(503, {"error": type(refusal.value).__name__})


class EventHandler(exports.EventHandler):
    """The host calls `handle` for each event of a subject in plugin.toml, and commits the transaction afterwards."""

    def handle(self, event: Event, tx: Transaction) -> None:
        mark(tx, "UPDATE words SET heard = heard + 1 WHERE word = $1", event.payload)


class TimerHandler(exports.TimerHandler):
    """The host calls `handle` for each timer that is due, and commits the transaction afterwards."""

    def handle(self, timer: Timer, attempt: int, tx: Transaction) -> None:
        mark(tx, "UPDATE words SET reminded = reminded + 1 WHERE word = $1", timer.payload)


def mark(tx: Transaction, statement: str, word: bytes) -> None:
    if tx.execute(statement, [Value_Text(word.decode())]) == 0:
        raise Err(Disposition_Reject(f"nobody has said {word.decode()}"))


def say(word: str) -> None:
    tx = Transaction.begin()
    tx.execute(
        "INSERT INTO words (word, said) VALUES ($1, 1) ON CONFLICT (word) DO UPDATE SET said = words.said + 1",
        [Value_Text(word)],
    )
    tx.publish("words.said", word.encode())
    # A timer with the same key replaces the one before.
    tx.schedule(Timer(word, int(time.time() * 1000) + 100, word.encode()))
    Transaction.commit(tx)


def words() -> dict:
    rows = query("SELECT word, said, heard, reminded FROM words ORDER BY word", []).rows
    # A value says its type: Value_Text("tea"), Value_Integer(1).
    return {word.value: [number.value for number in numbers] for word, *numbers in rows}


def answer(status: int, value: dict) -> Response:
    return Response(status, [("content-type", "application/json")], (json.dumps(value) + "\n").encode())
