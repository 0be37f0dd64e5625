"""Checks the helpers of the template in Python, with a store in place of the host's."""

import json

import ticketing
from componentize_py_types import Err
from ticketing import App, Event, Refusal, Request, Response, Tx
from wit_world.imports import platform_http_types as http
from wit_world.imports import platform_messaging_types as messaging
from wit_world.imports import sql


class Transaction:
    """Records what happens to it."""

    done: list = []

    @staticmethod
    def begin() -> "Transaction":
        Transaction.done.append("begin")
        return Transaction()

    @staticmethod
    def commit(_) -> None:
        Transaction.done.append("commit")

    @staticmethod
    def rollback(_) -> None:
        Transaction.done.append("rollback")

    def execute(self, statement: str, parameters: list) -> int:
        Transaction.done.append((statement, parameters))
        return 1

    def publish(self, subject: str, payload: bytes) -> str:
        Transaction.done.append((subject, payload))
        return "id"


sql.Transaction = Transaction
app = App()


@app.post("/things/{name}")
def make(request: Request) -> Response:
    with ticketing.transaction() as tx:
        tx.execute("INSERT", request.params["name"], request.json()["count"])
        tx.publish("thing.made", {"name": request.params["name"]})
    return ticketing.json({"made": True}, 201)


@app.get("/things/{name}")
def fail(request: Request) -> Response:
    match request.params["name"]:
        case "refused":
            raise Refusal(409, "Taken", "name")
        case "conflict":
            raise Err(sql.Error_Conflict())
        case _:
            raise ValueError("a fault")


@app.event("thing.made")
def made(event: Event, tx: Tx) -> None:
    tx.execute("UPDATE", event.value["name"])


def ask(method: str, name: str, body: bytes = b"", route: str = "/things/{name}") -> tuple[int, dict]:
    request = http.Request("r", method, route, [("name", name)], "/things", None, [], body, None)
    answer = app.request_handler()().handle(request)
    return answer.status, json.loads(answer.body)


def deliver(subject: str, payload: bytes) -> object:
    try:
        app.event_handler()().handle(messaging.Event("e", subject, "things", 7, 1, payload), Transaction())
    except Err as error:
        return error.value
    return None


assert ask("POST", "a", b'{"count": 3}') == (201, {"made": True})
assert Transaction.done == [
    "begin",
    ("INSERT", [sql.Value_Text("a"), sql.Value_Integer(3)]),
    ("thing.made", b'{"name": "a"}'),
    "commit",
], Transaction.done
Transaction.done.clear()
assert ask("POST", "a", b"{")[0] == 400
assert Transaction.done == ["begin", "rollback"], Transaction.done
assert ask("GET", "refused") == (409, {"errors": [{"message": "Taken", "field": "name"}]})
assert ask("GET", "conflict")[0] == 503
assert ask("GET", "fault") == (500, {"errors": [{"message": "Something went wrong"}]})
assert ask("GET", "a", route="/elsewhere")[0] == 404

assert deliver("thing.made", b'{"name": "a"}') is None
assert isinstance(deliver("thing.made", b"no JSON"), messaging.Disposition_Reject)
assert isinstance(deliver("thing.other", b"1"), messaging.Disposition_Reject)
assert deliver("thing.made", b"{}") == messaging.Disposition_Retry(None)

for value in (None, 3, -1.5, "text", b"bytes"):
    assert ticketing.from_sql(ticketing.to_sql(value)) == value, value
assert ticketing.to_sql(True) == sql.Value_Integer(1)
sql.query = lambda *_: sql.Rows(["who", "said"], [[sql.Value_Text("a"), sql.Value_Integer(2)]])
assert ticketing.one("SELECT") == {"who": "a", "said": 2}
ticketing.store.get = {"open": "true", "many": "3", "names": "a, b,"}.get
assert (ticketing.boolean_setting("open"), ticketing.integer_setting("many")) == (True, 3)
assert ticketing.list_setting("names") == ["a", "b"]
print("checked")
