"""Users who send requests at an even rate. Their clients work correctly: a client keeps its token
after a 503, and logs in again after a 401."""

import http.client
import json
import queue
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from stage import until
from traffic import PASSWORD

# The maximum time in seconds that a client waits for a response.
PATIENCE = 15
# The age of a token in seconds at which a client refreshes it. A token is valid for 15 minutes.
TOKEN_S = 600
# The default order of requests.
USUAL = ("me", "refresh", "me", "login")


@dataclass
class Response:
    """One response as the client saw it. The status is 0 if no response arrived."""

    at: float
    kind: str
    status: int
    code: str
    retry_after: str
    seconds: float


class Person:
    """A user with their own IP address, which a trusted proxy reports."""

    def __init__(self, number: int):
        self.email = f"person{number}@example.com"
        self.source = f"198.18.{number // 250}.{number % 250 + 1}"
        self.token = self.device = None
        self.since = 0.0

    def takes(self, token: str | None):
        self.token, self.since = token, time.monotonic()


class Crowd:
    """Sends `rate` requests per second to a daemon. The next free user sends the next request.
    `responses` contains every response."""

    def __init__(self, base: str, people: int, rate: float, kinds=USUAL, first: int = 0):
        self.place = urlsplit(base).netloc
        self.rate, self.kinds = rate, kinds
        self.people = [Person(number) for number in range(first, first + people)]
        self.responses: list[Response] = []
        self.new_clients = 0
        self.idle: queue.Queue[Person] = queue.Queue()
        self.ended = threading.Event()
        self.hands = ThreadPoolExecutor(max_workers=96)
        self.clock = threading.Thread(target=self.tick, daemon=True)

    def gather(self):
        """Registers every user, which opens a session."""
        for person in self.people:
            until(f"the registration of {person.email}", 60, lambda: self.register(person) == 200)
            self.idle.put(person)
        self.responses.clear()

    def start(self):
        self.clock.start()

    def stop(self):
        self.ended.set()
        self.clock.join()
        self.hands.shutdown(wait=True)

    def tick(self):
        number = 0
        while not self.ended.wait(random.expovariate(self.rate)):
            try:
                person = self.idle.get_nowait()
            except queue.Empty:
                continue
            self.hands.submit(self.act, self.kinds[number % len(self.kinds)], person)
            number += 1

    def act(self, kind: str, person: Person):
        try:
            {"me": self.look, "refresh": self.refresh, "login": self.log_in, "register": self.welcome,
             "forgot": self.forget}[kind](person)
        finally:
            self.idle.put(person)

    def look(self, person: Person):
        if person.token is None or time.monotonic() - person.since > TOKEN_S:
            self.refresh(person)
        elif self.ask("me", person, "GET", "/api/me", token=person.token)[0] == 401:
            person.takes(None)

    def refresh(self, person: Person):
        if person.token is None:
            self.log_in(person)
            return
        status, answer = self.ask("refresh", person, "GET", "/api/refresh", token=person.token)
        if status in (200, 401):
            person.takes(answer.get("userToken"))

    def log_in(self, person: Person) -> int:
        body = {"email": person.email, "password": PASSWORD}
        status, answer = self.ask("login", person, "POST", "/api/login", body)
        if status == 200:
            person.takes(answer["userToken"])
        return status

    def register(self, person: Person) -> int:
        body = {"email": person.email, "password": PASSWORD, "name": "Ada"}
        status, answer = self.ask("register", person, "POST", "/api/register", body)
        if status == 200:
            person.takes(answer["userToken"])
        return status

    def welcome(self, _: Person):
        """Registers a new user, which causes a mail."""
        self.new_clients += 1
        self.register(Person(10_000 + self.new_clients))

    def forget(self, _: Person):
        """Requests a recovery for an email address without an account. The request still uses up
        the mail budget of this address (`mailbox`)."""
        self.new_clients += 1
        unknown = Person(10_000 + self.new_clients)
        self.ask("forgot", unknown, "POST", "/api/forgot-password", {"email": unknown.email})

    def ask(self, kind: str, person: Person, method: str, path: str, body=None, token=None) -> tuple[int, dict]:
        headers = {"x-forwarded-for": person.source, "connection": "close"}
        if person.device:
            headers["x-latchkey-device"] = person.device
        if token:
            headers["authorization"] = f"Bearer {token}"
        if body is not None:
            headers["content-type"] = "application/json"
        at, began = time.time(), time.monotonic()
        status, answer, retry_after = 0, {}, ""
        connection = http.client.HTTPConnection(self.place, timeout=PATIENCE)
        try:
            connection.request(method, path, body and json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            status, retry_after = response.status, response.getheader("retry-after", "")
            person.device = response.getheader("x-latchkey-device") or person.device
            answer = json.loads(text or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer = {"code": type(error).__name__}
        finally:
            connection.close()
        code = answer.get("code", "") if status != 200 else ""
        self.responses.append(Response(at, kind, status, code, retry_after, time.monotonic() - began))
        return status, answer


def summary(responses: list[Response], begin: float, end: float) -> dict:
    """Summarizes the responses between two times. For each kind of request, the result has the
    number of responses by status, the durations, and the values of Retry-After."""
    result = {}
    there = [it for it in responses if begin <= it.at < end]
    for kind in sorted({it.kind for it in there}):
        mine = [it for it in there if it.kind == kind]
        times = sorted(it.seconds for it in mine)
        result[kind] = {
            "responses": dict(Counter(f"{it.status} {it.code}".strip() for it in mine).most_common()),
            "ms": {"p50": round(1000 * times[len(times) // 2]), "p99": round(1000 * times[len(times) * 99 // 100]),
                   "max": round(1000 * times[-1])},
            "retry-after": dict(Counter(it.retry_after for it in mine if it.retry_after)),
        }
    return result


def last_bad(responses: list[Response]) -> float | None:
    """Returns the start time of the last request that got a 5xx or no response."""
    return max((it.at for it in responses if it.status == 0 or it.status >= 500), default=None)
