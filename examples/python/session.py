"""A client of the session protocol mainstay.v1, from docs/protocol.md alone.

It sends the lines of its standard input as tracked messages and writes each message that comes to
standard output, once and in order, over as many connections as that takes.

    pip install websockets
    python session.py ws://127.0.0.1:7180/v1/connect [lines to wait for]
"""

import asyncio
import json
import random
import sys
import time

import websockets

WINDOW = 64  # unacknowledged messages; a server holds 256 by default
ACK_AFTER = 1.0  # seconds
ACK_MESSAGES = 64


class Session:
    """What outlives connections: numbers, and the messages that are not acknowledged."""

    def __init__(self, url, key=None):
        self.url, self.key = url, key
        self.token = None  # to resume with; another one in each welcome
        self.next, self.held = 1, {}  # our messages by number, until they are acknowledged
        self.cursor, self.writing = 1, asyncio.Lock()  # the next one to write on this connection
        self.written = 0  # the last one that was ever written
        self.pace = 0.0  # seconds from one message to the next
        self.received = 0  # the last message of the server that was processed
        self.acknowledged = 0  # the last one that we acknowledged
        self.retry = {"base_ms": 1000, "max_ms": 60000, "jitter_ms": 5000}
        self.incoming, self.unknown, self.changed = [], [], asyncio.Event()
        self.socket, self.over = None, False

    async def send(self, data):
        """Sends a message that arrives once; waits while the window is full."""
        while len(self.held) >= WINDOW:
            await self.wait()
        number, self.next = self.next, self.next + 1
        self.held[number] = data
        await self.write()

    async def write(self):
        """What was not written on this connection, in order, no faster than the server allows."""
        async with self.writing:
            while self.socket and self.cursor in self.held:
                number, self.cursor = self.cursor, self.cursor + 1
                self.written = max(self.written, number)
                await self.say(t="msg", s=number, d=self.held[number])
                await asyncio.sleep(self.pace)

    async def wait(self):
        """Until something has happened."""
        self.changed.clear()
        await self.changed.wait()

    async def say(self, **frame):
        try:
            await self.socket.send(json.dumps(frame))
        except (websockets.ConnectionClosed, AttributeError):
            pass  # what is tracked is sent again over the next connection

    async def run(self):
        """One connection after another, until the session has ended."""
        failures = 0
        while not self.over:
            wait = None
            try:
                async with websockets.connect(
                    self.url, subprotocols=["mainstay.v1"], proxy=None, ping_interval=None
                ) as socket:
                    wait = await self.greet(socket)
                    if self.socket:
                        failures = 0
                        wait = await self.talk()
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            self.socket = None
            failures += 1
            await asyncio.sleep(self.pause(failures) if wait is None else wait)

    def pause(self, failures):
        """After a connection that broke without `bye`: a random share of a growing ceiling."""
        if failures == 1:
            return random.random() * (self.retry["base_ms"] + self.retry["jitter_ms"]) / 1000
        ceiling = min(self.retry["max_ms"], self.retry["base_ms"] * 2 ** min(failures, 16))
        return random.random() * ceiling / 1000

    async def greet(self, socket):
        """`hello` and `welcome`."""
        hello = {"t": "hello", "v": 1, "client": {"type": "python", "version": "1"}}
        if self.key:
            hello["auth"] = self.key
        if self.token:
            hello["resume"] = {"token": self.token, "recv": self.received}
        await socket.send(json.dumps(hello))
        welcome = {}
        while welcome.get("t") not in ("welcome", "bye"):
            welcome = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if welcome["t"] == "bye":
            return self.bye(welcome)
        asked, self.token, self.retry = self.token, welcome["token"], welcome["retry"]
        if asked and welcome["resumed"] and welcome["replay"]:
            first = next(iter(self.held), self.next)
            if not first - 1 <= welcome["recv"] <= self.written:
                self.token = None
                await socket.close(4106)
                return None
            self.acked(welcome["recv"])
        else:
            # The numbers begin anew. What was written may have arrived, or not; the rest goes out
            # under new numbers.
            self.unknown += [data for number, data in self.held.items() if number <= self.written]
            rest = [data for number, data in self.held.items() if number > self.written]
            self.held = dict(enumerate(rest, start=1))
            self.next, self.written, self.received = len(rest) + 1, 0, 0
        self.acknowledged = self.received
        # What was not acknowledged is written again.
        self.cursor = next(iter(self.held), self.next)
        # A fifth of the frames is left for acks and pongs.
        rate = welcome["limits"]["rate"]
        self.pace = 1.25 / rate if rate else 0.0
        self.socket, self.silence = socket, self.patience(welcome["hb"])
        return None

    @staticmethod
    def patience(hb):
        """Silence after which the server is taken to be gone."""
        return (hb["interval_ms"] + hb["timeout_ms"]) / 1000

    def acked(self, number):
        for held in [held for held in self.held if held <= number]:
            del self.held[held]
        self.changed.set()

    async def talk(self):
        """Takes in frames until the connection ends; answers how long to wait, if it was told."""
        acks = asyncio.create_task(self.acknowledge())
        writing = asyncio.create_task(self.write())
        try:
            while True:
                frame = json.loads(await asyncio.wait_for(self.socket.recv(), self.silence))
                kind = frame.get("t")
                if kind == "msg":
                    if not await self.take(frame):
                        await self.socket.close(4204)  # a gap: the resume fills it
                        return None
                elif kind == "ack":
                    self.acked(frame["s"])
                elif kind == "ping":
                    now = int(time.time() * 1000)
                    await self.say(t="pong", n=frame["n"], ts=frame["ts"], ct=now)
                elif kind == "hb":
                    self.silence = self.patience(frame)
                elif kind == "bye":
                    return self.bye(frame)
        finally:
            acks.cancel()
            writing.cancel()

    async def take(self, frame):
        """A message: processed if it is the next one, dropped if it was here, a gap otherwise."""
        number = frame.get("s")
        if number is not None:
            if number <= self.received:
                return True
            if number > self.received + 1:
                return False
            self.received = number
        self.incoming.append(frame["d"])
        self.changed.set()
        if self.received - self.acknowledged >= ACK_MESSAGES:
            await self.ack()
        return True

    async def ack(self):
        if self.received > self.acknowledged:
            self.acknowledged = self.received
            await self.say(t="ack", s=self.received)

    async def acknowledge(self):
        while True:
            await asyncio.sleep(ACK_AFTER)
            await self.ack()

    def bye(self, frame):
        """The range of the code says whether to come back, and `retry` when."""
        code, retry = frame["code"], frame.get("retry") or {}
        if code == 4106:
            self.token = None
        if 4200 <= code < 4300:
            self.over = True
            self.changed.set()
            raise SystemExit(f"the server gives up on us: {code} {frame['reason']}")
        if 4100 <= code < 4200:
            after, jitter = retry.get("after_ms", 1000), retry.get("jitter_ms", 1000)
            return (min(after, 3_600_000) + random.random() * min(jitter, 3_600_000)) / 1000
        return None

    async def end(self):
        """Ends the session for good."""
        self.over = True
        if self.socket:
            await self.ack()
            await self.say(t="bye", code=1000, reason="done")
            await self.socket.close(1000)


async def main(url, wanted):
    session = Session(url)
    running = asyncio.create_task(session.run())
    lines = [line.rstrip("\n") for line in sys.stdin]
    wanted = len(lines) if wanted is None else wanted

    async def write():
        written = 0
        while written < wanted - len(session.unknown) or session.held:
            for data in session.incoming[written:]:
                print(json.dumps(data), flush=True)
            written = len(session.incoming)
            if written < wanted - len(session.unknown) or session.held:
                await session.wait()

    writing = asyncio.create_task(write())
    for line in lines:
        await session.send(line)
    await asyncio.wait({writing, running}, return_when=asyncio.FIRST_COMPLETED)
    if not writing.done():
        await running  # why it gave up
    for data in session.unknown:
        print(f"may be lost: {json.dumps(data)}", file=sys.stderr)
    await session.end()
    await asyncio.wait_for(running, 10)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else None))
