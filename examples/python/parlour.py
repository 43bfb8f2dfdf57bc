"""A Parlour guest in the terminal: claims a share link, prints the conversation, sends each line of stdin.

    python parlour.py --name Maria --device maria.key http://127.0.0.1:8080/s/parlour_sh_… http://127.0.0.1:8080 [NODE …]

Every entry is printed once, in order, as "seq author: text"; an edit or redaction shows its line again, as it is now. What
happens to the connection goes to stderr. A line is repeated, on the next node after each loss, until it is acknowledged.
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the link has ended. § are sections of protocol/SPEC.md."""
import argparse, collections, contextlib, functools, itertools, json, logging, pathlib, random, signal, sys, threading, time, uuid
from urllib.request import Request, urlopen
import websockets.sync.client
logging.getLogger("websockets").addHandler(logging.NullHandler())  # it has its own word for every lost connection
log = functools.partial(print, "--", file=sys.stderr, flush=True)
SAYS = {  # what an entry of each kind says (§2.3); the other kinds are only counted
    "message": lambda body: body["text"],
    "edit": lambda body: body["text"] + " (edited)",
    "redaction": lambda body: "(removed)",
    "card": lambda body: "[{title}: {}]".format(", ".join(o["label"] for o in body["card"]["options"]), **body["card"]),
    "selection": lambda body: f"[chose {', '.join(body['labels'])}: {body['state']}]"}

def explain(error):
    """What ended a connection: its code (§2.4, §8), whether to come back, after how many seconds, and the words for it."""
    if isinstance(error, websockets.ConnectionClosed):
        code, words = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "connection lost")
        return code, code in (1001, 1006, 1011, 1012, 1013) or 4000 <= code < 4500, 0, words
    try:  # the answer to the claim or to the upgrade
        answer = json.loads(error.response.body if hasattr(error, "response") else error.read())["error"]
        return answer["code"], answer["retryable"], answer["details"].get("retry_after_ms", 0) / 1000, answer["message"]
    except (AttributeError, LookupError, TypeError, ValueError):  # there was none, or it was not Parlour's
        return type(error).__name__, True, 0, str(error)

class Client:
    def __init__(self, options):
        self.options, self.device, self.stdin_open = options, options.device, True
        self.key = self.device.read_text().strip() if self.device and self.device.exists() else None
        self.epoch, self.seq, self.resume = 1, 0, True  # the last entry held: none yet; resume=False: start from the newest
        self.titles, self.lines = {}, collections.deque()  # "seq author" by entry id; the lines not yet acknowledged
        self.sent_seq = self.token_ends = self.losses = self.refused = 0

    def run(self):
        threading.Thread(target=self.read_stdin, daemon=True).start()
        for node in itertools.cycle(self.options.nodes):
            self.losses, self.advice, fresh = self.losses + 1, 0, time.time() >= self.token_ends
            try:
                self.visit(node, fresh)
                return log(f"Everything is acknowledged, {self.refused} lines were refused.") or int(self.refused > 0)
            except (OSError, websockets.WebSocketException) as error:
                code, again, wait, words = explain(error)
            if code in (4510, "NOT_FOUND", "GONE"):
                return log("The link has ended: it expired, was revoked or never existed.") or 3
            if code in (4401, 4501):  # 4501 too: a token that has aged while we were away deserves one new claim
                again, self.token_ends = again or not fresh, 0
            if not again:
                return log(f"The server refuses: {code} {words}") or 1
            wait = self.advice or wait or random.uniform(0, min(30, 0.5 * 2 ** min(self.losses, 9)))
            log(f"{node}: {code} {words}; again in {wait:.1f} s")
            time.sleep(wait)

    def read_stdin(self):
        for line in filter(str.strip, open(0, encoding="utf-8", errors="replace", closefd=False)):
            self.lines.append({"client_id": str(uuid.uuid4()), "text": line.rstrip("\n")})
        self.stdin_open = False

    def claim(self, node):
        body = {"token": self.options.link.rsplit("/s/")[-1], "name": self.options.name, "device_key": self.key}
        request = Request(node + "/api/v1/shares/claim", json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = json.load(urlopen(request, timeout=10))["data"]
        self.token, self.key, self.token_ends = answer["guest_token"], answer["device_key"], time.time() + answer["expires_in"]
        if self.device:
            self.device.touch(0o600)
            self.device.write_text(self.key)

    def visit(self, node, fresh):
        """One connection, from the claim to its loss (or, with --once, to the end of the work)."""
        if fresh:
            self.claim(node)
        with websockets.sync.client.connect(
                node.replace("http", "ws", 1) + "/api/v1/ws", subprotocols=["parlour.v1+json"], compression=None,
                max_size=None, ping_interval=20, ping_timeout=10, close_timeout=1) as socket:
            socket.send(json.dumps({"id": 0, "type": "hello", "token": self.token}))
            hello = json.loads(socket.recv()).get("ok") or socket.recv()  # after an error comes the close that explains it
            log(f"{node}: connected as {hello['principal']['name']}")
            self.room = {"conversation": hello["principal"]["conversation"]}
            self.behind, self.losses, self.asked, self.ask_at, ids = True, 1, None, 0, itertools.count(1)
            self.renewed(hello)
            while not self.options.once or self.stdin_open or self.lines or self.behind or self.seq < self.sent_seq:
                if not self.asked and time.time() >= self.ask_at and (command := self.wanted()):
                    self.asked = command["type"]
                    socket.send(json.dumps({"id": next(ids), **command}, ensure_ascii=False))
                with contextlib.suppress(TimeoutError):
                    self.hear(json.loads(socket.recv(timeout=0.05)))

    def wanted(self):
        """The next command; only one is ever on its way."""
        if self.behind:
            return {"type": "attach", **self.room} | ({"since": {"epoch": self.epoch, "seq": self.seq}} if self.resume else {})
        if time.time() >= self.renew_at:
            return {"type": "refresh"}
        return {"type": "send", **self.room, **self.lines[0]} if self.lines else None

    def hear(self, message):
        if "id" in message:
            command, self.asked, self.ask_at = self.asked, None, time.time() + 0.1  # 10 commands a second (§9)
        match message:
            case {"ok": {"reset": _}}: self.resume = bool(log("the conversation has to be read anew"))
            case {"ok": ok} if command == "attach": self.attached(ok)
            case {"ok": ok} if command == "refresh": self.renewed(ok)
            case {"ok": ok}: self.sent_seq, _ = ok["seq"], self.lines.popleft()
            case {"error": error} if command == "send" and not error["retryable"] and error["code"] != "UNAUTHENTICATED":
                self.refused += 1
                log(f"refused, {error['message']}: {self.lines.popleft()['text'][:60]}")
            case {"error": error}:  # try again; when that is in vain, the server closes
                self.ask_at += error["details"].get("retry_after_ms", random.randrange(500, 5000)) / 1000
            case {"type": "entry"}: self.take(message["epoch"], message)
            case {"type": "head"}: self.behind = True
            case {"type": "advice"}: self.advice = message["retry_after_ms"] / 1000

    def renewed(self, ok):
        life = ok["expires_in_ms"] / 1000
        self.token, self.token_ends = ok.get("guest_token", self.token), time.time() + life
        self.renew_at = time.time() + max(1, 0.8 * life)

    def attached(self, ok):
        if not ok["resumed"]:
            self.epoch, self.seq, self.sent_seq = ok["position"]["epoch"], ok["position"]["seq"] - len(ok["entries"]), 0
        self.resume, self.behind = True, ok["has_more"]
        self.take(self.epoch, *ok["entries"])

    def take(self, epoch, *items):
        """Print the entries that come next (§13.3), each with what later ones of the same page make of it."""
        texts = {}
        for seq, entry in ((item["seq"], item["entry"]) for item in items):
            self.behind |= (epoch, seq) > (self.epoch, self.seq + 1)
            if (epoch, seq) == (self.epoch, self.seq + 1):
                self.seq, body = seq, entry["body"]
                id = body.get("entry_id", entry["id"])  # an edit or a redaction is about another entry
                self.titles[entry["id"]] = f"{seq} {entry['author']['name']}"
                if entry["kind"] in SAYS and id in self.titles:
                    texts[id] = "(removed)" if body.get("redacted") else SAYS[entry["kind"]](body)
        for id, text in texts.items():
            print(f"{self.titles[id]}: " + "\n    ".join(text.splitlines()), flush=True)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("link", help="the share link, …/s/parlour_sh_…")
    parser.add_argument("nodes", nargs="+", metavar="NODE", type=lambda url: url.rstrip("/"), help="base URL, http://host:port")
    parser.add_argument("--name", help="your name, as the others see it")
    parser.add_argument("--device", type=pathlib.Path, metavar="FILE", help="keeps the device key: come back as the same guest")
    parser.add_argument("--once", action="store_true", help="exit when stdin has ended and everything is acknowledged")
    sys.exit(Client(parser.parse_args()).run())
