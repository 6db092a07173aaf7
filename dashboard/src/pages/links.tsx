// Connections that the server opens.
import { ask, askMaybe } from "../api";
import { CELL_MS, mark } from "../cells";
import { Chart } from "../chart";
import { ago, breakerLook, count, linkLook, ms, share, span, stamp, us } from "../format";
import { gates, heard, links, now } from "../live";
import { filter, href, param, place } from "../route";
import type { Link, Series } from "../types";
import { Act, Bars, Chip, Countdown, Empty, Facts, List, Panel, Raw, Search, Select, useAsked } from "../ui";

const STATES = ["CONNECTED", "CONNECTING", "RECONNECTING", "SUSPENDED", "FAILED", "DISCONNECTED"];
const WORST: Record<string, number> = { FAILED: 0, RECONNECTING: 1, SUSPENDED: 2, CONNECTING: 3, CLOSING: 4, DISCONNECTED: 5, CONNECTED: 6 };

export const byWorst = (a: Link, b: Link) => (WORST[a.state] ?? 7) - (WORST[b.state] ?? 7) || a.name.localeCompare(b.name);

export const nextAt = (one: Link) => (one.next_retry_ms === null ? null : (heard.get(`links/${one.name}`) ?? Date.now()) + one.next_retry_ms);

export function why(one: Link): string {
  if (one.state === "CONNECTED") return one.healthy ? "" : "its last checks failed";
  return (one.failed ?? one.suspended)?.replaceAll("_", " ") ?? one.last_error?.message ?? "";
}

export function BreakerChip({ one }: { one: { breaker: Link["breaker"] } }) {
  return one.breaker ? <Chip look={breakerLook(one.breaker)} /> : <span class="quiet">none</span>;
}

export function Links() {
  const name = place.value.parts[1];
  return name ? <OneLink name={name} /> : <AllLinks />;
}

function AllLinks() {
  const [text, state] = [param("q").toLowerCase(), param("state")];
  const all = Object.values(links.value).sort(byWorst);
  const shown = all.filter((one) => (!state || one.state === state) && `${one.name} ${one.target}`.toLowerCase().includes(text));
  return (
    <Panel title="Links" aside={<span class="quiet">{shown.length === all.length ? count(all.length) : `${count(shown.length)} of ${count(all.length)}`}</span>}>
      <div class="filters">
        <Search label="Search" value={param("q")} change={(value) => filter("q", value)} hint="name or target" />
        <Select label="State" value={state} change={(value) => filter("state", value)} options={[["", "all"], ...STATES.map((one): [string, string] => [one, one.toLowerCase()])]} />
      </div>
      {shown.length ? (
        <List label="Links" rows={shown} id={(one) => one.name} open={(one) => href("links", one.name)} most={20}
          columns={[
            { name: "Name", width: "minmax(7rem, 1fr)", cell: (one) => one.name },
            { name: "State", width: "8.5rem", cell: (one) => <Chip look={linkLook(one.state)} title={why(one)} /> },
            { name: "Target", width: "minmax(8rem, 1.3fr)", minor: 2, cell: (one) => <span title={one.target}>{one.target}</span> },
            { name: "Round trip", width: "6rem", number: true, minor: 1, cell: (one) => us(one.rtt.smoothed_us) },
            { name: "Checks", width: "5.5rem", number: true, minor: 1, cell: (one) => (one.stats.total_health_checks ? share(one.stats.health_check_success_rate) : "–") },
            { name: "Next try", width: "6rem", number: true, cell: (one) => <Countdown until={nextAt(one)} /> },
            { name: "Breaker", width: "7rem", minor: 1, cell: (one) => <BreakerChip one={one} /> },
            { name: "Last 10 min", width: "190px", minor: 2, cell: (one) => <Bars name={one.name} of={`link/${one.name}`} /> },
          ]} />
      ) : <Empty>{all.length ? "No link fits." : "The configuration names no link."}</Empty>}
    </Panel>
  );
}

/** What there is in a value, by its path. */
const flat = (value: unknown, path: string[] = []): [string, string][] =>
  value !== null && typeof value === "object" ? Object.entries(value).flatMap(([name, part]) => flat(part, [...path, name]))
    : [[path.join(" ").replaceAll("_", " "), value === null ? "none" : String(value)]];

function Policy({ path }: { path: string }) {
  const { value, error } = useAsked(() => ask<{ link: object; gate: object | null }>(`${path}/policy`), 10_000, [path]);
  return (
    <Panel title="What it goes by">
      {error && <p class="problem">{error}</p>}
      {value && <Facts rows={flat(value.link)} />}
      {value?.gate && <><h3>Its gate</h3><Facts rows={flat(value.gate)} /></>}
      <Raw path={`${path}/policy`} value={value} />
    </Panel>
  );
}

function OneLink({ name }: { name: string }) {
  const one = links.value[name];
  const path = `/api/v1/links/${encodeURIComponent(name)}`;
  const { value: series } = useAsked(() => askMaybe<Series>(`/api/v1/monitor/series?group=${encodeURIComponent(`link:${name}`)}&span_ms=3600000`), 10_000, [name]);
  // What the monitor kept is seen, too.
  for (const cell of series?.step_ms === CELL_MS ? series.cells : []) {
    const level = cell.fail + cell.miss > 0 ? (cell.ok > 0 ? 2 : 3) : cell.ok > 0 ? 1 : 0;
    if (level) mark(`link/${name}`, level, cell.at_ms);
  }
  if (!one) return <Panel title={name}><Empty>There is no such link.</Empty></Panel>;
  const act = (label: string, verb: string, text: string, danger = false) =>
    <Act label={label} title={`${label}: ${name}`} text={text} path={`${path}/${verb}`} danger={danger}
      told={(answer: { check_passed: boolean | null }) => `${label}: ${answer.check_passed === null ? "done" : answer.check_passed ? "it is well" : "the check failed"}`} />;
  return (
    <>
      <Panel title={name} aside={<Chip look={linkLook(one.state)} />}>
        {why(one) && <p class="problem">{why(one)}</p>}
        <Bars name={name} of={`link/${name}`} />
        <Facts rows={[
          ["Target", one.target],
          ["In this state since", `${stamp(one.since)} (${ago(one.since, now.value)})`],
          ["Attempt", count(one.attempt)],
          ["Next try", <Countdown until={nextAt(one)} />],
          ["Round trip", us(one.rtt.smoothed_us)],
          ["Its variation", us(one.rtt.variation_us)],
          ["Shortest", us(one.rtt.min_us)],
          ["Checks passed", one.stats.total_health_checks ? `${share(one.stats.health_check_success_rate, 2)} of ${count(one.stats.total_health_checks)}` : "none yet"],
          ["Last check", ago(one.stats.last_health_check, now.value)],
          ["Connections made", count(one.stats.total_connections)],
          ["Reconnections", count(one.stats.total_reconnections)],
          ["Connects that failed", count(one.stats.total_failures)],
          ["Policy", one.policy ?? "none"],
          ["Last error", one.last_error ? `${one.last_error.message} (${ago(one.last_error.at, now.value)})` : "none"],
        ]} />
        <div class="actions">
          {act("Check now", "check", "A health check is made at once.")}
          {act("Connect", "connect", "It dials now, without waiting for the next try.")}
          {act("Pause", "pause", "It is not checked, and does not reconnect, until it is resumed.")}
          {act("Resume", "resume", "It is checked again.")}
          {act("Reset", "reset", "Its attempts begin anew.")}
          {act("Disconnect", "disconnect", "Its connection is closed, and stays so until somebody connects it.", true)}
        </div>
      </Panel>
      {gates.value[name] && <GatePanel name={name} />}
      {series && series.cells.length > 0 && (
        <Panel title="Last hour">
          <Chart title="Latency" unit={ms} cells={series.cells} step={series.step_ms} span={3_600_000} marks={[]} height={180} lines={[
            { label: "p95", colour: "--info", value: (cell) => cell.p95_ms },
            { label: "p50", colour: "--info-fill", value: (cell) => cell.p50_ms, band: true },
          ]} />
        </Panel>
      )}
      {one.endpoints && (
        <Panel title="Endpoints">
          <List label="Endpoints" rows={one.endpoints} id={(end) => end.url} columns={[
            { name: "Address", width: "minmax(10rem, 1fr)", cell: (end) => end.url },
            { name: "In use", width: "5rem", cell: (end) => (end.current ? "● yes" : "no") },
            { name: "Failures", width: "5rem", number: true, cell: (end) => count(end.failures) },
            { name: "Out for", width: "6rem", number: true, cell: (end) => span(end.ejected_ms) },
            { name: "Round trip", width: "6rem", number: true, minor: 1, cell: (end) => us(end.rtt_us) },
          ]} />
        </Panel>
      )}
      <Policy path={path} />
      <Raw path={path} value={one} />
    </>
  );
}

export function GatePanel({ name }: { name: string }) {
  const gate = gates.value[name];
  if (!gate) return <Panel title={`Gate ${name}`}><Empty>There is no such gate.</Empty></Panel>;
  const { breaker } = gate;
  const path = `/api/v1/gates/${encodeURIComponent(name)}`;
  const act = (label: string, verb: string, text: string, danger = false) =>
    <Act label={label} title={`${label}: breaker of ${name}`} text={text} path={`${path}/${verb}`} danger={danger} />;
  const reopens = breaker?.remaining_ms == null ? null : (heard.get(`gates/${name}`) ?? Date.now()) + breaker.remaining_ms;
  return (
    <Panel title={`Gate ${name}`} aside={<BreakerChip one={gate} />}>
      <Facts rows={[
        ["Let through", count(gate.admitted)],
        ["Turned away", count(gate.rejected)],
        ["Succeeded", count(gate.succeeded)],
        ["Failed", count(gate.failed)],
        ["Under way", gate.in_flight === null ? "–" : `${count(gate.in_flight)} of ${count(gate.in_flight_max)}`],
        ["Retry budget", count(gate.budget)],
        ["Failures in a row", count(breaker?.consecutive_failures)],
        ["Calls in the window", breaker ? `${count(breaker.calls)}, ${count(breaker.failed)} failed, ${count(breaker.slow)} slow` : "–"],
        ["Lets through again", <Countdown until={reopens} />],
        ["Share let through", share(breaker?.admitted_share)],
      ]} />
      {breaker && (
        <div class="actions">
          {act("Force open", "force_open", "Every call is turned away until it is reset.", true)}
          {act("Force closed", "disable", "Every call is let through, whatever fails, until the breaker is enabled again.", true)}
          {act("Enable", "enable", "The breaker decides again by itself.")}
          {act("Reset", "reset", "What it counted is forgotten, and calls are let through.")}
        </div>
      )}
    </Panel>
  );
}
