// What is wrong, what was, by which rules that is known, and who is told.
import { askMaybe } from "../api";
import { clock, count, overallLook, severityLook, share, span, stamp } from "../format";
import { alerts, now } from "../live";
import { filter, param, place } from "../route";
import type { Alert, Severity } from "../types";
import { Act, Chip, Empty, List, Panel, Raw, Search, Select, useAsked } from "../ui";

const ORDER: Record<string, number> = { CRITICAL: 0, HIGH: 1, MEDIUM: 2, LOW: 3 };
const STATES: Record<string, number> = { FIRING: 0, KEEP: 0, PENDING: 1, RESOLVED: 2, INACTIVE: 3 };

export function sorted(all: Record<string, Alert>): Alert[] {
  const rank = (one: Alert) => (STATES[one.state] ?? 4) * 10 + (ORDER[one.severity ?? ""] ?? 4);
  return Object.values(all).sort((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id));
}

export const isActive = (one: Alert) => one.state === "FIRING" || one.state === "KEEP" || one.state === "PENDING";

const labels = (one: { labels: Record<string, string> }) =>
  Object.entries(one.labels).map(([name, value]) => `${name}=${value}`).join(" ");

export function AlertCard({ one }: { one: Alert }) {
  const path = `/api/v1/alerts/${one.id}`;
  const named = `${one.rule}${labels(one) ? ` (${labels(one)})` : ""}`;
  return (
    <li class={`alert ${severityLook(one.severity).tone}`} data-alert={one.id}>
      <div class="alert-head">
        <Chip look={severityLook(one.severity)} />
        <strong>{one.rule}</strong> <span class="quiet">{labels(one)}</span>
        <span class="state">{one.state === "KEEP" ? "firing, recovering" : one.state.toLowerCase()}</span>
      </div>
      <p>{one.summary}</p>
      <p class="quiet">
        {one.since && <>since {clock(one.since)} ({span(now.value - Date.parse(one.since))})</>}
        {one.inhibits > 0 && <> · inhibits {count(one.inhibits)} others</>}
        {one.inhibited_by && <> · inhibited by another</>}
        {one.flapping && <> · flapping</>}
        {one.no_data && <> · no data</>}
        {one.maintenance && <> · maintenance: {one.maintenance}</>}
        {one.acknowledged && <> · acknowledged by {one.acknowledged.who}{one.acknowledged.note && `: ${one.acknowledged.note}`}</>}
        {one.silenced && <> · silenced by {one.silenced.who} {one.silenced.expires ? `until ${clock(one.silenced.expires)}` : "until it is resolved"}</>}
        {one.runbook && <> · runbook: {one.runbook}</>}
      </p>
      {isActive(one) && (
        <div class="actions">
          {one.acknowledged ? (
            <Act label="Take back" title={`Take back the acknowledgement of ${named}`} text="It counts as unacknowledged again."
              path={`${path}/acknowledge`} method="DELETE" />
          ) : one.state !== "PENDING" && (
            <Act label="Acknowledge" title={`Acknowledge ${named}`} text="Somebody looks after it. It goes on being shown."
              path={`${path}/acknowledge`} field={{ label: "Note", value: "", required: false }} body={(note) => ({ note })} />
          )}
          {one.silenced ? (
            <Act label="Unsilence" title={`Unsilence ${named}`} text="Receivers are told of it again." path={`${path}/silence`} method="DELETE" />
          ) : (
            <>
              <Act label="Silence 1 h" title={`Silence ${named} for an hour`} text="Nobody is told of it for an hour."
                path={`${path}/silence`} field={{ label: "Reason", value: "", required: true }} body={(reason) => ({ reason, for_ms: 3_600_000 })} />
              <Act label="Silence until resolved" title={`Silence ${named} until it is resolved`} text="Nobody is told of it until it is over."
                path={`${path}/silence`} field={{ label: "Reason", value: "", required: true }} body={(reason) => ({ reason, until_resolved: true })} />
            </>
          )}
        </div>
      )}
    </li>
  );
}

const TABS = ["active", "history", "rules", "receivers", "dead-letters"] as const;
const missing = <Empty>This server has none of that.</Empty>;

function Active() {
  const all = alerts.value;
  if (all === null) return missing;
  const severity = param("severity");
  const text = param("q").toLowerCase();
  const shown = sorted(all).filter((one) => (!severity || one.severity === severity) && `${one.rule} ${labels(one)} ${one.summary}`.toLowerCase().includes(text));
  return (
    <>
      <div class="filters">
        <Search label="Search" value={param("q")} change={(value) => filter("q", value)} hint="rule, label, text" />
        <Select label="Severity" value={severity} change={(value) => filter("severity", value)}
          options={[["", "all"], ...(["CRITICAL", "HIGH", "MEDIUM", "LOW"] as Severity[]).map((one): [string, string] => [one, one.toLowerCase()])]} />
      </div>
      {shown.length ? <ul class="alerts">{shown.slice(0, 200).map((one) => <AlertCard key={one.id} one={one} />)}</ul> : <Empty>No alert.</Empty>}
    </>
  );
}

interface Event {
  id: string; at: string; rule: string; labels: Record<string, string>; what: string; severity: Severity | null; who: string | null; note: string | null; summary: string;
}

/** Everything of the last days, the latest first; at most so many pages. */
async function past(days: number): Promise<{ events: Event[] } | null> {
  const from = new Date(Date.now() - days * 86_400_000).toISOString();
  const events: Event[] = [];
  let after: string | null = "";
  for (let page = 0; page < 10 && after !== null; page += 1) {
    const found: { events: Event[]; next: string | null } | null = await askMaybe(`/api/v1/alerts/history?limit=1000&from=${from}${after && `&after=${after}`}`);
    if (!found) return null;
    events.push(...found.events);
    after = found.next;
  }
  return { events: events.reverse() };
}

function History() {
  const days = param("days") || "7";
  const { value, error } = useAsked(() => past(Number(days)), 10_000, [days]);
  if (error) return <p class="problem">{error}</p>;
  if (value === undefined) return <Empty>Loading…</Empty>;
  if (value === null) return missing;
  return (
    <>
    <div class="filters"><Select label="Over" value={days} change={(next) => filter("days", next)} options={[["1", "24 h"], ["7", "7 d"], ["30", "30 d"], ["90", "90 d"]]} /></div>
    <List label="What happened to alerts" rows={value.events} id={(one) => String(one.id)}
      columns={[
        { name: "When", width: "10rem", cell: (one) => stamp(one.at) },
        { name: "What", width: "9rem", cell: (one) => one.what.replaceAll("_", " ") },
        { name: "Severity", width: "6.5rem", minor: 1, cell: (one) => <Chip look={severityLook(one.severity)} /> },
        { name: "Rule", width: "minmax(8rem, 1fr)", cell: (one) => `${one.rule} ${labels(one)}` },
        { name: "Who and why", width: "minmax(8rem, 1.6fr)", minor: 2, cell: (one) => [one.who, one.note, one.summary].filter(Boolean).join(" · ") },
      ]} />
    </>
  );
}

/** Where a severity begins, and where it ends. */
type Edge = number | { enter: number; exit: number } | null | undefined;

interface Rule {
  id: string; signal: string; description: string; unit?: string; low: Edge; medium: Edge; high: Edge; critical: Edge; for_ms: number | null; source: string; labels: Record<string, string>;
}

function Rules() {
  const { value, error } = useAsked(() => askMaybe<{ rules: Rule[] }>("/api/v1/alerts/rules"), null, []);
  if (error) return <p class="problem">{error}</p>;
  if (value === undefined) return <Empty>Loading…</Empty>;
  if (value === null) return missing;
  const edge = (at: Edge, unit = "") => {
    if (at == null) return "–";
    const [enter, exit] = typeof at === "number" ? [at, at] : [at.enter, at.exit];
    const told = (n: number) => (unit === "share" ? share(n) : `${count(n)} ${unit}`);
    return <span title={`ends at ${told(exit)}`}>{told(enter)}</span>;
  };
  return (
    <List label="Rules" rows={value.rules} id={(one) => one.id}
      columns={[
        { name: "Rule", width: "minmax(9rem, 1.2fr)", cell: (one) => <span title={one.description}>{one.id}</span> },
        { name: "Signal", width: "minmax(8rem, 1.2fr)", minor: 2, cell: (one) => one.signal },
        { name: "Low", width: "5.5rem", number: true, minor: 1, cell: (one) => edge(one.low, one.unit) },
        { name: "Medium", width: "5.5rem", number: true, minor: 1, cell: (one) => edge(one.medium, one.unit) },
        { name: "High", width: "5.5rem", number: true, cell: (one) => edge(one.high, one.unit) },
        { name: "Critical", width: "5.5rem", number: true, cell: (one) => edge(one.critical, one.unit) },
        { name: "For", width: "6rem", number: true, minor: 2, cell: (one) => span(one.for_ms) },
        { name: "Source", width: "5rem", cell: (one) => one.source },
      ]} />
  );
}

interface Receiver {
  name: string; kind: string; min_severity: Severity | null; sent: number; failed: number; dead: number; last_sent: string | null; last_error: string | null; breaker: string | null;
}

function Receivers() {
  const { value, error, again } = useAsked(() => askMaybe<{ receivers: Receiver[] }>("/api/v1/notifications"), 5000, []);
  if (error) return <p class="problem">{error}</p>;
  if (value === undefined) return <Empty>Loading…</Empty>;
  if (value === null) return missing;
  if (!value.receivers.length) return <Empty>Nobody is told of alerts: the configuration names no receiver.</Empty>;
  return (
    <ul class="cards">
      {value.receivers.map((one) => (
        <li key={one.name} class="card">
          <strong>{one.name}</strong> <span class="quiet">{one.kind} · from {(one.min_severity ?? "any").toLowerCase()} on</span>
          <p>{count(one.sent)} sent, {count(one.failed)} failed, {count(one.dead)} given up{one.last_sent && ` · last ${stamp(one.last_sent)}`}</p>
          {one.last_error && <p class="problem">{one.last_error}</p>}
          <Act label="Send a test" title={`Send a test to ${one.name}`} text="It is told that this is a test." path={`/api/v1/notifications/${encodeURIComponent(one.name)}/test`}
            done={again} told={(answer: { delivered: boolean; detail: string }) => `${one.name}: ${answer.delivered ? "delivered" : "not delivered"}, ${answer.detail}`} />
        </li>
      ))}
    </ul>
  );
}

interface Dead {
  id: string; receiver: string; at: string; what: string; error: string; attempts: number;
}

function DeadLetters() {
  const base = "/api/v1/notifications/dead-letters";
  const { value, error, again } = useAsked(() => askMaybe<{ dead_letters: Dead[] }>(base), 5000, []);
  if (error) return <p class="problem">{error}</p>;
  if (value === undefined) return <Empty>Loading…</Empty>;
  if (value === null) return missing;
  if (!value.dead_letters.length) return <Empty>Everything was delivered.</Empty>;
  return (
    <ul class="cards">
      {value.dead_letters.map((one) => (
        <li key={one.id} class="card">
          <strong>{one.receiver}</strong> <span class="quiet">{stamp(one.at)} · {one.attempts} attempts</span>
          <p>{one.what}</p>
          <p class="problem">{one.error}</p>
          <div class="actions">
            <Act label="Try again" title="Send it again" text={one.what} path={`${base}/${encodeURIComponent(one.id)}/retry`} done={again} />
            <Act label="Forget" danger title="Forget it" text="Its receiver will never be told." path={`${base}/${encodeURIComponent(one.id)}`} method="DELETE" done={again} />
          </div>
        </li>
      ))}
    </ul>
  );
}

export function Alerts() {
  const tab = place.value.parts[1] ?? "active";
  const one = alerts.value?.[tab];
  const names: Record<string, string> = { active: "Active", history: "History", rules: "Rules", receivers: "Receivers", "dead-letters": "Dead letters" };
  const looks = alerts.value && Object.values(alerts.value).some(isActive) ? overallLook("WARNING") : overallLook("HEALTHY");
  return (
    <Panel title="Alerts" aside={alerts.value ? <Chip look={{ ...looks, text: `${Object.values(alerts.value).filter(isActive).length} active` }} /> : null}>
      <nav class="tabs" aria-label="Alerts">
        {TABS.map((name) => <a key={name} href={`#/alerts/${name}`} aria-current={tab === name ? "page" : undefined}>{names[name]}</a>)}
      </nav>
      {tab === "history" ? <History /> : tab === "rules" ? <Rules /> : tab === "receivers" ? <Receivers /> : tab === "dead-letters" ? <DeadLetters />
        : one ? <><ul class="alerts"><AlertCard one={one} /></ul><Raw path={`/api/v1/alerts/${tab}`} value={one} /></> : <Active />}
    </Panel>
  );
}
