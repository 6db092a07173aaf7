// Connections that the server accepted.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, Problem } from "../api";
import type { Level } from "../cells";
import { ago, clock, count, factor, ms, qualityLook, QUALITIES, share, span, stamp, statusLook, us } from "../format";
import { freshness, now, skew, worst } from "../live";
import { filter, go, href, param, place } from "../route";
import type { Quality, Session, Silence, Status } from "../types";
import { Act, Bars, Chip, Countdown, Empty, Facts, List, notice, Panel, Raw, Search, Select, useAsked } from "../ui";

const STATUSES: Status[] = ["CONNECTED", "SUSPENDED", "RECONNECTING", "DISCONNECTED", "FAILED"];
const PAGE = 1000;
const SESSION = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** What a list keeps of a session: a hundred thousand of them fit. */
type Short = Pick<Session, "session" | "user" | "organisation" | "client_type" | "status" | "quality" | "factor" | "latency_us" | "jitter_us" | "missed_heartbeats" | "last_heartbeat">;
const short = ({ session, user, organisation, client_type, status, quality, factor, latency_us, jitter_us, missed_heartbeats, last_heartbeat }: Session): Short =>
  ({ session, user, organisation, client_type, status, quality, factor, latency_us, jitter_us, missed_heartbeats, last_heartbeat });

export function Sessions() {
  const id = place.value.parts[1];
  return id ? <OneSession id={id} /> : <AllSessions />;
}

interface Pages {
  rows: Short[];
  next: string | null;
  at: number;
}

const FILTERS = ["user", "organisation", "client_type", "status", "quality"] as const;

function AllSessions() {
  const [pages, setPages] = useState<Pages>({ rows: [], next: "", at: Date.now() });
  const [error, setError] = useState("");
  const [turn, setTurn] = useState(0);
  const busy = useRef(0);
  const query = new URLSearchParams(FILTERS.flatMap((name) => (param(name) ? [[name, param(name)]] : []))).toString();
  const { value: counts } = useAsked(() => ask<{ total: number; connected: number }>("/api/v1/sessions/counts"), 5000, []);
  const load = async (before: Pages, run: number) => {
    if (before.next === null) return;
    try {
      const cursor = before.next ? `&cursor=${before.next}` : "";
      const page = await ask<{ sessions: Session[]; next: string | null }>(`/api/v1/sessions?limit=${PAGE}&${query}${cursor}`);
      if (busy.current !== run) return;
      setPages({ rows: [...before.rows, ...page.sessions.map(short)], next: page.next, at: before.at });
      setError("");
    } catch (problem) {
      if (busy.current === run) setError(problem instanceof Problem ? problem.message : String(problem));
    }
    if (busy.current === run) loading.current = false;
  };
  const loading = useRef(false);
  useEffect(() => {
    busy.current += 1;
    const run = busy.current;
    loading.current = true;
    // Typing is not asked about letter by letter.
    const timer = setTimeout(() => {
      const fresh = { rows: [], next: "", at: Date.now() };
      setPages(fresh);
      void load(fresh, run);
    }, 200);
    return () => clearTimeout(timer);
  }, [query, turn]);
  const more = () => {
    if (loading.current || pages.next === null) return;
    loading.current = true;
    void load(pages, busy.current);
  };
  const search = (text: string) => {
    if (SESSION.test(text.trim())) go("sessions", text.trim());
    else filter("user", text);
  };
  const rows = pages.rows.map((row) => worst.value[row.session] ?? row);
  const seen = useRef<string[]>([]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let there = true;
    const round = async () => {
      const ids = seen.current;
      try {
        if (ids.length && !document.hidden && freshness.value === "live") {
          const { sessions } = await ask<{ sessions: Session[] }>(`/api/v1/sessions?ids=${ids.join()}`);
          const known = new Map(sessions.map((one) => [one.session, short(one)]));
          const gone = new Set(ids.filter((id) => !known.has(id)));
          // Each stays where it is: nothing jumps under a hand that scrolls.
          if (there) setPages((old) => ({ ...old, rows: old.rows.map((row) => known.get(row.session) ?? (gone.has(row.session) ? { ...row, status: "DISCONNECTED" } : row)) }));
        }
      } catch {
        // Whether the server is there is said at the top.
      }
      if (there) timer = setTimeout(round, 2000);
    };
    timer = setTimeout(round, 2000);
    return () => {
      there = false;
      clearTimeout(timer);
    };
  }, []);
  const all = pages.next === null;
  return (
    <Panel title="Sessions" aside={
      <span class="quiet">
        {count(rows.length)} {all ? "" : "loaded"}{counts && !query && !all ? ` of about ${count(counts.total)}` : ""} · listed at {clock(pages.at)}, those in view are live{" "}
        <button type="button" onClick={() => setTurn(turn + 1)}>Load anew</button>
      </span>
    }>
      <div class="filters">
        <Search label="User or session" value={param("user")} change={search} hint="exact name, or the session's id" />
        <Search label="Organisation" value={param("organisation")} change={(value) => filter("organisation", value)} />
        <Search label="Client type" value={param("client_type")} change={(value) => filter("client_type", value)} />
        <Select label="Status" value={param("status")} change={(value) => filter("status", value)} options={[["", "all"], ...STATUSES.map((one): [string, string] => [one, one.toLowerCase()])]} />
        <Select label="Quality" value={param("quality")} change={(value) => filter("quality", value)} options={[["", "all"], ...QUALITIES.map((one): [string, string] => [one, one.toLowerCase()])]} />
      </div>
      {error && <p class="problem" role="alert">{error}</p>}
      {rows.length === 0 && all ? <Empty>No session{query ? " fits" : " yet"}.</Empty> : (
        <List label="Sessions" rows={rows} id={(one) => one.session} open={(one) => href("sessions", one.session)} end={more} most={20} seen={(ids) => { seen.current = ids; }} {...(counts && !query ? { total: counts.total } : {})}
          columns={[
            { name: "User", width: "minmax(7rem, 1fr)", cell: (one) => one.user ?? <span class="quiet">anonymous</span> },
            { name: "Status", width: "8.5rem", cell: (one) => <Chip look={statusLook(one.status)} /> },
            { name: "Quality", width: "7.5rem", cell: (one) => <Chip look={qualityLook(one.quality)} title={factor(one.factor)} /> },
            { name: "Organisation", width: "minmax(6rem, 1fr)", minor: 1, cell: (one) => one.organisation },
            { name: "Client", width: "8rem", minor: 2, cell: (one) => one.client_type },
            { name: "Round trip", width: "6rem", number: true, minor: 1, cell: (one) => us(one.latency_us) },
            { name: "Jitter", width: "5.5rem", number: true, minor: 2, cell: (one) => us(one.jitter_us) },
            { name: "Missed", width: "4.5rem", number: true, minor: 2, cell: (one) => count(one.missed_heartbeats) },
            { name: "Last beat", width: "7rem", number: true, minor: 2, cell: (one) => clock(one.last_heartbeat) },
          ]} />
      )}
    </Panel>
  );
}

interface Event {
  event: string; at: string; seq: number; generation: number; reason?: string; from?: Quality; to?: Quality; factor?: string; attempt?: number;
}
interface Bar {
  at: string; came: number; missed: number; rtt_max_us: number | null; worst: Quality;
}

const barLevel = (bar: Bar): Level => (bar.came + bar.missed === 0 ? 0 : bar.worst === "CRITICAL" || bar.came === 0 ? 3 : bar.missed > 0 || bar.worst === "POOR" ? 2 : 1);

const AFTER: Record<string, Status> = {
  "session.registered": "CONNECTED", "session.resumed": "CONNECTED", "session.taken_over": "CONNECTED", "session.recovered": "CONNECTED",
  "session.suspended": "SUSPENDED", "session.reconnecting": "RECONNECTING", "session.gone": "DISCONNECTED",
};

/** Which status a session was in, from when to when. */
function statuses(events: Event[], until: number): { status: Status; from: number; to: number }[] {
  const all: { status: Status; from: number; to: number }[] = [];
  for (const event of events) {
    const status = AFTER[event.event];
    const last = all.at(-1);
    if (!status || last?.status === status) continue;
    if (last) last.to = Date.parse(event.at);
    all.push({ status, from: Date.parse(event.at), to: until });
  }
  return all;
}

function StatusBand({ events }: { events: Event[] }) {
  const parts = statuses(events, now.value);
  const [first, last] = [parts[0], parts.at(-1)];
  if (!first || !last) return null;
  const whole = Math.max(1, last.to - first.from);
  return (
    <div class="band" role="img" aria-label={`Statuses since ${stamp(first.from)}: ${parts.map((part) => `${part.status.toLowerCase()} ${span(part.to - part.from)}`).join(", ")}`}>
      {parts.map((part) => (
        <span key={part.from} class={statusLook(part.status).tone} title={`${part.status.toLowerCase()} for ${span(part.to - part.from)}`} style={{ flexGrow: (part.to - part.from) / whole }} />
      ))}
    </div>
  );
}

/** What comes of it if nothing is heard. */
function SilencePanel({ one }: { one: Silence }) {
  const when = (at: string | null) => {
    // In the time of this browser.
    const local = at && Date.parse(at) + (skew.value ?? 0);
    return local ? <>{clock(local)} (<Countdown until={local} />)</> : "–";
  };
  return (
    <Panel title="If nothing is heard" aside={one.suspected ? <Chip look={{ tone: "warn", sign: "▲", text: "suspected" }} /> : null}>
      <Facts rows={[
        ["Silent for", ms(one.silent_ms)],
        ["Surprise (phi)", <>{one.phi.toFixed(2)} <small>suspected at {one.phi_suspect.toFixed(2)}, given up at {one.phi_dead.toFixed(2)}</small></>],
        ["Asked again", one.asked_at ? when(one.asked_at) : "no: it beats by itself"],
        ["Suspected", one.suspected ? "it is now" : when(one.suspect_at)],
        ["Given up", <>{when(one.dead_at)}{one.held && <small>nobody is, while too many are silent or this server slept</small>}</>],
      ]} />
    </Panel>
  );
}

function OneSession({ id }: { id: string }) {
  const path = `/api/v1/sessions/${encodeURIComponent(id)}`;
  const { value: asked, error, again } = useAsked(() => ask<Session & { silence: Silence | null }>(path), 2000, [id]);
  const { value: history } = useAsked(() => ask<{ events: Event[] }>(`${path}/events?limit=1000`), 5000, [id]);
  const [watched, setWatched] = useState(false);
  const { value: bars, again: look } = useAsked(() => ask<{ bars: Bar[] }>(`${path}/bars`).then((all) => all.bars, () => null), 10_000, [id, watched]);
  const one = worst.value[id] ?? asked;
  if (!one) return <Panel title="Session"><Empty>{error || "Loading…"}</Empty></Panel>;
  const over = one.status === "DISCONNECTED" || one.status === "FAILED";
  const watch = async () => {
    try {
      await ask(`${path}/watch`, bars ? "DELETE" : "PUT");
      setWatched(!bars);
      look();
    } catch (problem) {
      notice.value = String(problem instanceof Error ? problem.message : problem);
    }
  };
  return (
    <>
      <Panel title={`${one.user ?? "anonymous"} · ${one.organisation}`} aside={<><Chip look={statusLook(one.status)} /> <Chip look={qualityLook(one.quality)} title={factor(one.factor)} /></>}>
        {factor(one.factor) && <p class="problem">{factor(one.factor)}</p>}
        {history && <StatusBand events={history.events} />}
        {bars ? <Bars name="Beats" of={id} levels={bars.map(barLevel)} step={60_000} /> : null}
        <Facts rows={[
          ["Session", <code>{one.session}</code>],
          ["Client", `${one.client_type} ${one.client_version}`],
          ["Connection", `no. ${one.generation}`],
          ["Round trip", us(one.latency_us)],
          ["Jitter", us(one.jitter_us)],
          ["Shortest", us(one.latency_min_us)],
          ["Beats lost", share(one.loss)],
          ["Missed in a row", count(one.missed_heartbeats)],
          ["Last beat", ago(one.last_heartbeat, now.value)],
          ["Beats every", span(one.heartbeat_interval_ms)],
          ["Connected", `${stamp(one.connected_at)} (${ago(one.connected_at, now.value)})`],
          ["Registered", stamp(one.registered_at)],
          ["Disconnections", count(one.total_disconnections)],
          ["Attempts to come back", `${count(one.reconnect_attempts)} of ${count(one.max_reconnect_attempts)}`],
          ["Kept until", one.expires_at ? `${clock(one.expires_at)} (${span(Date.parse(one.expires_at) - now.value)} left)` : "–"],
          ["Grace", span(one.grace_ms)],
        ]} />
        {!over && (
          <div class="actions">
            <button type="button" onClick={watch} aria-pressed={!!bars}>{bars ? "Stop keeping minutes" : "Keep its minutes"}</button>
            <Act label="Suspend" title="Suspend the session" text="Its connection is taken away. It may come back within its grace." path={`${path}/suspend`} body={() => ({})} done={again} />
            <Act label="Disconnect" danger title="Disconnect the session" text="It is over: its client is told not to come back with it." path={`${path}/disconnect`} body={() => ({})} done={again} />
          </div>
        )}
      </Panel>
      {asked?.silence && <SilencePanel one={asked.silence} />}
      <Panel title="What happened">
        {history?.events.length ? (
          <List label="Events of the session" rows={[...history.events].reverse()} id={(event) => String(event.seq)} columns={[
            { name: "When", width: "10rem", cell: (event) => stamp(event.at) },
            { name: "What", width: "minmax(9rem, 1fr)", cell: (event) => event.event.replace("session.", "").replaceAll(/[._]/g, " ") },
            { name: "Why", width: "minmax(8rem, 1fr)", minor: 1, cell: (event) => event.reason ?? (event.from ? `${event.from} to ${event.to}, ${factor(event.factor ?? "") || "nothing stands out"}` : "–") },
            { name: "Connection", width: "6rem", number: true, minor: 1, cell: (event) => count(event.generation) },
          ]} />
        ) : <Empty>Nothing is kept of it.</Empty>}
      </Panel>
      <Raw path={path} value={{ ...asked, ...one }} />
    </>
  );
}
