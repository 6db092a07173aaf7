// How everything is, as the server tells it: one stream, and what came of it.
import { batch, computed, signal, type Signal } from "@preact/signals";
import { login, open, Problem } from "./api";
import { mark } from "./cells";
import type { Alert, Gate, Link, Session, Summary } from "./types";

/** The server says at least a word every so often. */
const DUE_MS = 15_000;
/** Silence beyond that makes the page doubt what it shows. */
const GRACE_MS = 5_000;
const LONGEST_WAIT_MS = 15_000;

type Rows<T> = Record<string, T>;

export const links = signal<Rows<Link>>({});
export const gates = signal<Rows<Gate>>({});
export const alerts = signal<Rows<Alert> | null>(null);
export const worst = signal<Rows<Session>>({});
export const summaries = signal<Rows<Summary> | null>(null);

// biome-ignore lint: rows are what the server says they are
const topics: Record<string, Signal<Rows<any> | null>> = {
  links: links as Signal<Rows<Link> | null>,
  gates: gates as Signal<Rows<Gate> | null>,
  worst: worst as Signal<Rows<Session> | null>,
  alerts,
  summary: summaries,
};

/** The page's clock, once a second. */
export const now = signal(Date.now());
/** When each row came, so that what it counts down can go on. */
export const heard = new Map<string, number>();

export type Freshness = "connecting" | "live" | "lost";
const state = signal<Freshness>("connecting");
const lastWord = signal(Date.now());
const lostSince = signal<number | null>(null);
const why = signal("");
export const deltas = signal(0);
/** How far the server's clock is behind ours, in milliseconds. */
export const skew = signal<number | null>(null);
export const hasSnapshot = signal(false);

/** Since when what is shown may be wrong; null while it is not. */
export const staleSince = computed<number | null>(() => {
  if (!hasSnapshot.value) return null;
  if (state.value !== "live") return lostSince.value ?? lastWord.value;
  return now.value - lastWord.value > DUE_MS + GRACE_MS ? lastWord.value : null;
});
export const freshness = computed(() => (state.value === "live" && staleSince.value ? "silent" : state.value));
export const reason = computed(() => why.value);

interface Change {
  set: Rows<unknown>;
  gone: string[];
}

function snapshot(data: { at: string; topics: Record<string, Rows<unknown>> }) {
  for (const [name, rows] of Object.entries(topics)) {
    const said = data.topics[name];
    rows.value = said ?? (name === "alerts" || name === "summary" ? null : {});
    for (const id of Object.keys(said ?? {})) heard.set(`${name}/${id}`, Date.now());
  }
  hasSnapshot.value = true;
}

function delta(data: { at: string; topics: Record<string, Change> }) {
  for (const [name, change] of Object.entries(data.topics)) {
    const rows = topics[name];
    if (!rows) continue;
    const next = { ...rows.value, ...change.set };
    for (const id of change.gone) {
      delete next[id];
      heard.delete(`${name}/${id}`);
    }
    for (const id of Object.keys(change.set)) heard.set(`${name}/${id}`, Date.now());
    rows.value = next;
  }
  deltas.value += 1;
}

function take(event: string, text: string) {
  const data = JSON.parse(text);
  batch(() => {
    const off = Date.now() - Date.parse(data.at);
    // The way here takes some time too: the smallest difference is the nearest to the truth.
    skew.value = skew.value === null || Math.abs(off) < Math.abs(skew.value) ? off : skew.value + (off - skew.value) / 16;
    if (event === "snapshot") snapshot(data);
    else if (event === "delta") delta(data);
  });
  document.documentElement.dataset["deltas"] = String(deltas.value);
  observe();
}

/** Remembers how links and the worst sessions are, for their bars. */
function observe() {
  for (const link of Object.values(links.value)) mark(`link/${link.name}`, linkLevel(link));
  for (const one of Object.values(worst.value)) mark(`session/${one.session}`, sessionLevel(one));
}

function linkLevel(link: Link): 1 | 2 | 3 {
  if (link.state === "CONNECTED") return link.healthy ? 1 : 2;
  return link.state === "FAILED" || link.state === "RECONNECTING" ? 3 : 2;
}

function sessionLevel(one: Session): 1 | 2 | 3 {
  if (one.status !== "CONNECTED" || one.quality === "CRITICAL") return 3;
  return one.quality === "POOR" || one.missed_heartbeats > 0 ? 2 : 1;
}

async function follow(last: string | null, abort: AbortController): Promise<string | null> {
  const more: Record<string, string> = { accept: "text/event-stream" };
  if (last) more["last-event-id"] = last;
  const answer = await open("/api/v1/monitor/live", more, abort.signal);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) throw new Error("the browser cannot read streams");
  let rest = "";
  let [event, id, data] = ["", "", ""];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return last;
    batch(() => {
      lastWord.value = Date.now();
      lostSince.value = null;
      state.value = "live";
    });
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data += line.slice(5).trimStart();
      else if (line.startsWith("event:")) event = line.slice(6).trim();
      else if (line.startsWith("id:")) id = line.slice(3).trim();
      else if (line === "" && data) {
        take(event, data);
        last = id || last;
        place = last;
        [event, id, data] = ["", "", ""];
      }
    }
  }
}

let place: string | null = null;
let abort = new AbortController();
let running = false;

/** Goes on for as long as the page is there. */
export async function start() {
  if (running) return;
  running = true;
  let attempt = 0;
  while (running) {
    abort = new AbortController();
    try {
      await follow(place, abort);
      why.value = "the server ended the stream";
      attempt = 0;
    } catch (error) {
      why.value = error instanceof Problem ? error.message : "the server cannot be reached";
    }
    batch(() => {
      if (state.value === "live") attempt = 0;
      lostSince.value ??= Date.now();
      state.value = "lost";
    });
    if (login.value !== null) break;
    attempt += 1;
    const ceiling = Math.min(LONGEST_WAIT_MS, 500 * 2 ** Math.min(attempt, 6));
    await new Promise((done) => setTimeout(done, ceiling / 2 + (Math.random() * ceiling) / 2));
  }
  running = false;
}

// A connection that died without a word is noticed by its silence, and given up.
setInterval(() => {
  now.value = Date.now();
  document.documentElement.dataset["live"] = staleSince.value ? "stale" : state.value;
  if (state.value === "live" && now.value - lastWord.value > DUE_MS + GRACE_MS) abort.abort();
  if (state.value === "live") observe();
}, 1000);
