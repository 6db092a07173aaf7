// A client of the session protocol mainstay.v1, from docs/protocol.md alone. It runs in browsers as
// it is, and under Node with a WebSocket given to it (`npm install ws`).
//
//     node session.mjs ws://127.0.0.1:7180/v1/connect < lines
//
// sends each line as a tracked message and writes what comes to standard output, once and in order.

const WINDOW = 64; // unacknowledged messages; a server holds 256 by default
const ACK_AFTER_MS = 1000;
const ACK_MESSAGES = 64;
const HOUR_MS = 3_600_000;

/** What outlives connections: numbers, and the messages that are not acknowledged. */
export class Session {
  #url; #key; #WebSocket; #client;
  #socket = null; // while it was welcomed
  #opening = null; // the latest one, welcomed or not
  #token = null; // to resume with; another one in each welcome
  #held = new Map(); // our messages by number, until they are acknowledged
  #next = 1;
  #cursor = 1; // the next one to write on this connection
  #written = 0; // the last one that was ever written
  #rate = 0; // frames a second that the server allows; 0 is no limit
  #received = 0; // the last message of the server that was processed
  #acknowledged = 0; // the last one that we acknowledged
  #retry = { base_ms: 1000, max_ms: 60000, jitter_ms: 5000 };
  #failures = 0; #wait = null; #over = false;
  #ackTimer = null; #silenceTimer = null; #redialTimer = null;
  #writeTimer = null; #silenceMs = 35000;
  #changed = []; // who waits for something to happen

  constructor(url, { key, client = 'node', WebSocket = globalThis.WebSocket, onmessage, onstate } = {}) {
    [this.#url, this.#key, this.#WebSocket, this.#client] = [url, key, WebSocket, client];
    this.onmessage = onmessage ?? (() => {});
    this.onstate = onstate ?? (() => {});
    this.connections = 0;
    this.unknown = []; // messages that may have arrived, or not
    this.#dial();
  }

  get unacknowledged() { return this.#held.size; }

  /** Sends a message that arrives once; waits while the window is full. */
  async send(data) {
    while (this.#held.size >= WINDOW) await this.changed();
    const number = this.#next++;
    this.#held.set(number, data);
    this.#write();
  }

  /** What was not written on this connection, in order, no faster than the server allows. */
  #write() {
    if (this.#writeTimer || !this.#socket) return;
    const most = this.#rate ? Math.max(1, Math.floor(this.#rate / 8)) : Infinity;
    let count = 0;
    for (; count < most && this.#held.has(this.#cursor); count += 1, this.#cursor += 1) {
      this.#written = Math.max(this.#written, this.#cursor);
      this.#say({ t: 'msg', s: this.#cursor, d: this.#held.get(this.#cursor) });
    }
    if (count === 0 || !this.#rate) return;
    // A fifth of the frames is left for acks and pongs.
    this.#writeTimer = setTimeout(() => {
      this.#writeTimer = null;
      this.#write();
    }, (count * 1250) / this.#rate);
  }

  /** Until something has happened. */
  changed() { return new Promise((resolve) => this.#changed.push(resolve)); }

  /** Ends the session for good. */
  end() {
    this.#over = true;
    this.#ack();
    this.#say({ t: 'bye', code: 1000, reason: 'done' });
    clearTimeout(this.#redialTimer);
    this.#opening?.close(1000);
  }

  /** Gives the connection up and dials at once, such as when the network is back. */
  redial() {
    if (this.#over) return;
    this.#lost(this.#opening);
    clearTimeout(this.#redialTimer);
    this.#dial();
  }

  #happened() {
    const waiting = this.#changed;
    this.#changed = [];
    waiting.forEach((resolve) => resolve());
  }

  #say(frame) {
    // What is tracked is sent again over the next connection.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #dial() {
    const socket = new this.#WebSocket(this.#url, 'mainstay.v1');
    this.#opening = socket;
    this.#alive(socket, 10000);
    socket.onopen = () => {
      const hello = { t: 'hello', v: 1, client: { type: this.#client, version: '1' } };
      if (this.#key) hello.auth = this.#key;
      if (this.#token) hello.resume = { token: this.#token, recv: this.#received };
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#opening) this.#take(socket, JSON.parse(data));
    };
    socket.onerror = () => {};
    socket.onclose = () => this.#lost(socket);
  }

  /** A silent connection may be dead: nothing else tells so where packets are lost. */
  #alive(socket, ms) {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => {
      socket.close();
      this.#lost(socket);
    }, ms);
  }

  #lost(socket) {
    if (!socket || socket !== this.#opening) return;
    [this.#socket, this.#opening] = [null, null];
    clearTimeout(this.#silenceTimer);
    clearInterval(this.#ackTimer);
    clearTimeout(this.#writeTimer);
    this.#writeTimer = null;
    socket.onclose = () => {};
    socket.close();
    this.onstate('lost');
    this.#happened();
    if (this.#over) return;
    this.#failures += 1;
    this.#redialTimer = setTimeout(() => this.#dial(), this.#wait ?? this.#pause());
    this.#wait = null;
  }

  /** After a connection that broke without `bye`: a random share of a growing ceiling. */
  #pause() {
    const { base_ms, max_ms, jitter_ms } = this.#retry;
    const grown = Math.min(max_ms, base_ms * 2 ** Math.min(this.#failures, 16));
    return Math.random() * (this.#failures === 1 ? base_ms + jitter_ms : grown);
  }

  #take(socket, frame) {
    if (this.#socket) this.#alive(socket, this.#silenceMs);
    switch (frame.t) {
      case 'welcome': return this.#welcome(socket, frame);
      case 'msg': return this.#message(socket, frame);
      case 'ack': return this.#acked(frame.s);
      case 'ping': return this.#say({ t: 'pong', n: frame.n, ts: frame.ts, ct: Date.now() });
      case 'hb': this.#silenceMs = frame.interval_ms + frame.timeout_ms; return;
      case 'bye': return this.#bye(frame);
      default: // what is newer than this client is ignored
    }
  }

  #welcome(socket, welcome) {
    const asked = this.#token !== null;
    [this.#token, this.#retry, this.#failures] = [welcome.token, welcome.retry, 0];
    this.#silenceMs = welcome.hb.interval_ms + welcome.hb.timeout_ms;
    if (asked && welcome.resumed && welcome.replay) {
      const first = this.#held.keys().next().value ?? this.#next;
      if (welcome.recv < first - 1 || welcome.recv > this.#written) {
        this.#token = null;
        return socket.close(4106);
      }
      this.#acked(welcome.recv);
    } else {
      // The numbers begin anew. What was written may have arrived, or not; the rest goes out under
      // new numbers.
      const held = [...this.#held];
      this.unknown.push(...held.filter(([n]) => n <= this.#written).map(([, data]) => data));
      const rest = held.filter(([n]) => n > this.#written);
      this.#held = new Map(rest.map(([, data], index) => [index + 1, data]));
      [this.#next, this.#written, this.#received] = [rest.length + 1, 0, 0];
    }
    this.#acknowledged = this.#received;
    this.#socket = socket;
    this.connections += 1;
    this.#alive(socket, this.#silenceMs);
    // What was not acknowledged is written again.
    this.#cursor = this.#held.keys().next().value ?? this.#next;
    this.#rate = welcome.limits.rate;
    this.#write();
    this.#ackTimer = setInterval(() => this.#ack(), ACK_AFTER_MS);
    this.onstate(asked ? 'resumed' : 'connected');
    this.#happened();
  }

  /** A message: processed if it is the next one, dropped if it was here, a gap otherwise. */
  #message(socket, { s, d }) {
    if (s != null) {
      if (s <= this.#received) return;
      if (s > this.#received + 1) return socket.close(4204); // the resume fills it
      this.#received = s;
    }
    this.onmessage(d);
    if (this.#received - this.#acknowledged >= ACK_MESSAGES) this.#ack();
    this.#happened();
  }

  #ack() {
    if (this.#received === this.#acknowledged) return;
    this.#acknowledged = this.#received;
    this.#say({ t: 'ack', s: this.#received });
  }

  #acked(number) {
    for (const held of this.#held.keys()) if (held <= number) this.#held.delete(held);
    this.#happened();
  }

  /** The range of the code says whether to come back, and `retry` when. */
  #bye({ code, reason, retry }) {
    if (code === 4106) this.#token = null;
    if (code >= 4200 && code < 4300) {
      this.#over = true;
      this.onstate(`over: ${code} ${reason}`);
    } else if (code >= 4100 && code < 4200) {
      const most = (ms) => Math.min(ms ?? 1000, HOUR_MS);
      this.#wait = most(retry?.after_ms) + Math.random() * most(retry?.jitter_ms);
    }
  }
}

async function main(url) {
  const { default: WebSocket } = await import('ws');
  const { createInterface } = await import('node:readline');
  const lines = [];
  for await (const line of createInterface({ input: process.stdin })) lines.push(line);
  let came = 0;
  const onmessage = (data) => { came += 1; console.log(JSON.stringify(data)); };
  const onstate = (state) => {
    if (!state.startsWith('over')) return;
    console.error(state);
    process.exit(1);
  };
  const session = new Session(url, { WebSocket, onmessage, onstate });
  for (const line of lines) await session.send(line);
  while (came < lines.length - session.unknown.length || session.unacknowledged > 0) await session.changed();
  for (const data of session.unknown) console.error(`may be lost: ${JSON.stringify(data)}`);
  session.end();
}

if (globalThis.process?.argv?.[1]?.endsWith('session.mjs')) {
  if (process.argv.length !== 3) {
    console.error('usage: node session.mjs ws://127.0.0.1:7180/v1/connect < lines');
    process.exit(2);
  }
  await main(process.argv[2]);
}
