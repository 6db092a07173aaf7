// How everything is, at a glance.
import { useComputed } from "@preact/signals";
import { ask, askMaybe } from "../api";
import { Chart, type Mark } from "../chart";
import { ago, breakerLook, bytes, clock, count, factor, linkLook, ms, overallLook, qualityLook, QUALITIES, severityLook, share, span, stamp, statusLook, trendLook, us, type Look } from "../format";
import { alerts, links, now, summaries, worst } from "../live";
import { filter, href, param } from "../route";
import type { Alert, Link, Objective, Quality, Series, Session, Summary, System } from "../types";
import { Bars, Chip, Countdown, Empty, Facts, Panel, Select, useAsked } from "../ui";
import { AlertCard, isActive, sorted } from "./alerts";
import { byWorst, nextAt, why } from "./links";

interface Counts {
  total: number; connected: number; suspended: number; reconnecting: number; disconnected: number; failed: number;
  by_quality: Record<Quality, number>; average_latency_us: number | null; total_reconnection_attempts: number;
}

/** What a server without a monitor still knows. */
function plain(counts: Counts, all: Link[]): Summary {
  const of = (state: string) => all.filter((link) => link.state === state).length;
  const [connected, failed] = [counts.connected + of("CONNECTED"), counts.failed + of("FAILED")];
  const degraded = counts.suspended + counts.reconnecting + of("RECONNECTING") + of("SUSPENDED");
  return {
    status: of("FAILED") ? "CRITICAL" : degraded ? "WARNING" : "HEALTHY",
    sentence: `${count(connected)} connected · ${count(degraded)} degraded · ${count(failed)} failed`,
    sessions: { ...counts, by_quality: 0 } as unknown as Record<string, number>,
    quality: counts.by_quality,
    links: { total: all.length, connected: of("CONNECTED"), reconnecting: of("RECONNECTING"), suspended: of("SUSPENDED"), failed: of("FAILED") },
    gates: { closed: 0, open: 0, half_open: 0 },
    latency_ms: { mean: counts.average_latency_us === null ? null : counts.average_latency_us / 1000, p50: null, p95: null, p99: null, samples: 0 },
    error_rate: null, reconnection_rate: null, health_check_success_rate: null, trends: null, prediction: null, system: null, alerts: null, at: "",
  };
}

/** The summary of the monitor, or one of what is known without. */
export function useSummary(): Summary | undefined {
  // Before its first look the monitor knows nothing, which must not read as all being well.
  const first = summaries.value?.["now"];
  const told = first && Date.parse(first.at) > 0 ? first : undefined;
  const has = told !== undefined;
  const { value: counts } = useAsked(async () => (has ? undefined : await ask<Counts>("/api/v1/sessions/counts")), has ? null : 3000, [has]);
  // What is on the page already is not overlooked until the monitor looks again.
  const bad = Object.values(links.value).some((one) => one.state === "FAILED" || one.state === "RECONNECTING" || one.state === "SUSPENDED");
  if (told) return told.status === "HEALTHY" && bad ? { ...told, status: "WARNING" } : told;
  return counts ? plain(counts, Object.values(links.value)) : undefined;
}

function Number_({ name, value, quiet }: { name: string; value: string; quiet?: string | undefined }) {
  return (
    <div class="number">
      <dt>{name}</dt>
      <dd>{value}{quiet && <small>{quiet}</small>}</dd>
    </div>
  );
}

function Grades({ summary }: { summary: Summary }) {
  const total = QUALITIES.reduce((sum, quality) => sum + (summary.quality[quality] ?? 0), 0);
  const told = QUALITIES.map((quality) => `${qualityLook(quality).text} ${count(summary.quality[quality] ?? 0)}`).join(", ");
  return (
    <Panel title="Connection quality" aside={<span class="quiet">{count(total)} connected</span>}>
      <div class="grades" role="img" aria-label={`Sessions by grade: ${told}`}>
        {total === 0 ? <span class="g-none" style={{ flexGrow: 1 }} /> : QUALITIES.filter((quality) => summary.quality[quality]).map((quality) => <span key={quality} class={`g-${quality.toLowerCase()}`} style={{ flexGrow: (summary.quality[quality] ?? 0) / total }} />)}
      </div>
      <ul class="legend">
        {QUALITIES.map((quality) => (
          <li key={quality}><i class={`g-${quality.toLowerCase()}`} aria-hidden="true" />{qualityLook(quality).sign} {qualityLook(quality).text} <b>{count(summary.quality[quality] ?? 0)}</b></li>
        ))}
      </ul>
    </Panel>
  );
}

function Numbers({ summary, objectives }: { summary: Summary; objectives: Objective[] }) {
  const latency = summary.latency_ms;
  const lefts = objectives.flatMap((one) => (one.budget_left === null ? [] : [one.budget_left]));
  const { trends, prediction } = summary;
  return (
    <Panel title="Latency and errors" aside={latency.samples ? <span class="quiet">{count(latency.samples)} round trips</span> : null}>
      <dl class="numbers">
        {latency.p50 === null && latency.mean !== null ? <Number_ name="mean" value={ms(latency.mean)} /> : <Number_ name="p50" value={ms(latency.p50)} />}
        <Number_ name="p95" value={ms(latency.p95)} />
        <Number_ name="p99" value={ms(latency.p99)} />
        <Number_ name="checks passed" value={share(summary.health_check_success_rate, 2)} />
        <Number_ name="errors" value={share(summary.error_rate, 2)} />
        {lefts.length > 0 && <Number_ name="error budget" value={share(Math.max(0, Math.min(...lefts)))} quiet=" left" />}
        <Number_ name="reconnects" value={summary.reconnections_per_minute?.toFixed(1) ?? "–"} quiet=" /min" />
      </dl>
      {trends && (
        <p class="trends">
          {(["latency", "errors", "connections"] as const).map((name) => <span key={name}>{name} <Chip look={trendLook(trends[name])} /></span>)}
          {prediction?.latency_minutes_to_threshold != null && <span class="warn">at this pace latency passes its threshold in {Math.round(prediction.latency_minutes_to_threshold)} min</span>}
        </p>
      )}
    </Panel>
  );
}

const SHOWN = 12;

function LinkRow({ one }: { one: Link }) {
  return (
    <tr data-row={one.name}>
      <th scope="row"><a href={href("links", one.name)}>{one.name}</a><small>link</small></th>
      <td><Chip look={linkLook(one.state)} /></td>
      <td class="why">{why(one)}{one.attempt > 0 && <small>attempt {one.attempt} · next <Countdown until={nextAt(one)} /></small>}</td>
      <td class="num minor">{us(one.rtt.smoothed_us)}</td>
      <td class="minor">{one.breaker ? <Chip look={breakerLook(one.breaker)} /> : "–"}</td>
      <td class="minor"><Bars name={one.name} of={`link/${one.name}`} /></td>
      <td class="num minor">{ago(one.stats.last_health_check, now.value)}</td>
    </tr>
  );
}

function SessionRow({ one }: { one: Session }) {
  const lost = one.status !== "CONNECTED";
  return (
    <tr data-row={one.session}>
      <th scope="row"><a href={href("sessions", one.session)}>{one.user ?? "anonymous"}</a><small>{one.organisation} · {one.client_type}</small></th>
      <td>{lost ? <Chip look={statusLook(one.status)} /> : <Chip look={qualityLook(one.quality)} />}</td>
      <td class="why">{factor(one.factor) || (lost ? "no connection" : "")}{one.expires_at && <small>kept for {span(Date.parse(one.expires_at) - now.value)}</small>}</td>
      <td class="num minor">{us(one.latency_us)}<small>± {us(one.jitter_us)}</small></td>
      <td class="minor">{count(one.missed_heartbeats)} missed</td>
      <td class="minor"><Bars name={one.user ?? one.session} of={`session/${one.session}`} /></td>
      <td class="num minor">{ago(one.last_heartbeat, now.value)}</td>
    </tr>
  );
}

const RANK: Record<string, number> = { CRITICAL: 0, POOR: 1, RECONNECTING: 2, SUSPENDED: 3, GOOD: 4, EXCELLENT: 5, UNKNOWN: 6 };
const rank = (one: Session) => RANK[one.status === "CONNECTED" ? one.quality : one.status] ?? 7;

function WorstFirst() {
  const all = Object.values(links.value).sort(byWorst);
  const sessions = Object.values(worst.value).sort((a, b) => rank(a) - rank(b) || b.loss - a.loss || (b.latency_us ?? 0) - (a.latency_us ?? 0) || a.session.localeCompare(b.session));
  const every = param("all") === "yes";
  const bad = [...all.filter((one) => one.state !== "CONNECTED"), ...sessions.filter((one) => rank(one) < 4)];
  const fine = [...all.filter((one) => one.state === "CONNECTED"), ...sessions.filter((one) => rank(one) >= 4)];
  const rows = [...bad, ...fine];
  const shown = every ? rows.slice(0, 100) : rows.slice(0, SHOWN);
  return (
    <Panel title="Worst first" aside={rows.length > SHOWN ? <button type="button" onClick={() => filter("all", every ? "" : "yes")}>{every ? "Show fewer" : `Show ${Math.min(rows.length, 100)}`}</button> : null}>
      {shown.length === 0 ? <Empty>Nothing is connected yet. <a href="#/links">Links</a> come from the configuration, sessions from clients.</Empty> : (
        <div class="scroll-x">
          <table class="worst">
            <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Why</th><th scope="col" class="num minor">Round trip</th><th scope="col" class="minor">Breaker or beats</th><th scope="col" class="minor">Last 10 min</th><th scope="col" class="num minor">Last heard</th></tr></thead>
            <tbody>{shown.map((one) => ("session" in one ? <SessionRow key={one.session} one={one} /> : <LinkRow key={`link ${one.name}`} one={one} />))}</tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function ActiveAlerts() {
  const all = alerts.value;
  if (all === null) return null;
  const active = sorted(all).filter(isActive);
  return (
    <Panel title="Active alerts" aside={<a href="#/alerts">all</a>}>
      {active.length ? <ul class="alerts">{active.slice(0, 5).map((one) => <AlertCard key={one.id} one={one} />)}</ul> : <Empty>No alert is active.</Empty>}
      {active.length > 5 && <p class="quiet">and {active.length - 5} more</p>}
    </Panel>
  );
}

const SPANS: [string, string][] = [["900000", "15 min"], ["3600000", "1 h"], ["21600000", "6 h"], ["86400000", "24 h"], ["604800000", "7 d"]];

function marks(all: Record<string, Alert> | null, series: Series | null | undefined, until: number): Mark[] {
  const known = Object.values(all ?? {}).filter((one) => one.since && one.state !== "PENDING");
  // To the minute: a band that grows each second would be drawn each second.
  const end = Math.ceil(until / 60_000) * 60_000;
  const work = (series?.cells ?? []).filter((cell) => cell.maintenance).map((cell) => ({ from: cell.at_ms, to: cell.at_ms + (series?.step_ms ?? 0), bad: false }));
  return work.concat(known.map((one) => ({ from: Date.parse(one.since ?? ""), to: one.resolved_at ? Date.parse(one.resolved_at) : end, bad: one.severity === "CRITICAL" || one.severity === "HIGH" })));
}

function Timeline() {
  const group = param("group") || "sessions";
  const length = param("span") || "3600000";
  const { value: groups } = useAsked(() => askMaybe<{ groups: string[] }>("/api/v1/monitor/groups"), 60_000, []);
  const { value, error } = useAsked(() => askMaybe<Series>(`/api/v1/monitor/series?group=${encodeURIComponent(group)}&span_ms=${length}`), 10_000, [group, length]);
  const minute = useComputed(() => Math.floor(now.value / 60_000)).value;
  if (value === null || groups === null) return null;
  const bands = marks(alerts.value, value, (minute + 1) * 60_000);
  const shared = { cells: value?.cells ?? [], step: value?.step_ms ?? 10_000, span: Number(length), marks: bands };
  const part = /^(link|gate):/.exec(group)?.[1];
  const level = group === "process" ? "loop lag p99" : part ? (part === "link" ? "time connected" : "time open") : group === "links" ? "connected links" : "connected";
  return (
    <Panel title="Timeline" aside={
      <span class="filters inline">
        <Select label="Of" value={group} change={(next) => filter("group", next)} options={(groups?.groups ?? [group]).map((one) => [one, one])} />
        <Select label="Over" value={length} change={(next) => filter("span", next)} options={SPANS} />
      </span>
    }>
      {error && <p class="problem">{error}</p>}
      {shared.cells.length === 0 ? <Empty>{value ? "Nothing was measured in this time." : "Loading…"}</Empty> : (
        <>
          <Chart {...shared} title="Latency" unit={ms} height={170} lines={[
            { label: "p95", colour: "--info", value: (cell) => cell.p95_ms },
            { label: "p50", colour: "--info-fill", value: (cell) => cell.p50_ms, band: true },
            { label: "p99", colour: "--warn-fill", value: (cell) => cell.p99_ms, dash: true },
          ]} />
          <Chart {...shared} title="Errors and missed beats" unit={(value) => (value === null ? "–" : count(Math.round(value * 10) / 10))} height={110} lines={[
            { label: "failed", colour: "--bad-fill", value: (cell) => cell.fail, bars: true },
            { label: "missed", colour: "--warn-fill", value: (cell) => cell.miss },
          ]} />
          <Chart {...shared} title={level} unit={(value) => (group === "process" ? ms(value) : part ? share(value) : count(value))} height={110} lines={[{ label: level, colour: "--good-fill", value: (cell) => cell.level }]} />
          <p class="quiet">One point every {span(value?.step_ms)}. Gaps: no data. Shaded: an alert was active, or work was planned.</p>
        </>
      )}
    </Panel>
  );
}

function budgetLook({ firing, budget_left: left }: Objective): Look {
  if (firing) return { ...severityLook(firing), text: `burns: ${firing.toLowerCase()}` };
  if (left === null) return { tone: "idle", sign: "○", text: "nothing yet" };
  return left <= 0 ? { tone: "bad", sign: "■", text: "used up" } : { tone: left < 0.25 ? "warn" : "good", sign: left < 0.25 ? "▲" : "●", text: `${share(left)} left` };
}

function budgetText({ budget_left: left, failed, all, allowed, success, since }: Objective): string {
  if (left === null) return "Nothing has happened that counts.";
  const used = 1 - left;
  const rest = left >= 0 ? `${share(left)} of the budget is left` : used < 2 ? `${share(used)} of the budget is used up` : `The budget is used up ${count(Math.round(used))} times`;
  return `${rest}: ${count(failed)} of ${count(all)} failed, ${count(allowed)} may. ${share(success, 2)} went well since ${stamp(since).slice(0, 16)}.`;
}

const times = (rate: number | null) => (rate === null ? "–" : `${+rate.toPrecision(rate < 100 ? 2 : 3)}×`);

function Budgets({ objectives, error }: { objectives: Objective[]; error: string }) {
  if (error) return <Panel title="Error budgets"><p class="problem">{error}</p></Panel>;
  if (!objectives.length) return null;
  return (
    <Panel title="Error budgets" aside={<span class="quiet">of 30 days</span>}>
      <ul class="cards">
        {objectives.map((one) => {
          const look = budgetLook(one);
          return (
            <li key={one.name} class="card" data-slo={one.name}>
              <div class="alert-head">
                <strong>{one.name}</strong> <span class="quiet">{+(one.objective * 100).toFixed(4)} % of {one.signal} {one.of}</span>
                <span class="state">{one.firing && one.alert ? <a href={href("alerts", one.alert)}><Chip look={look} /></a> : <Chip look={look} />}</span>
              </div>
              <div class="band" aria-hidden="true"><span class={look.tone} style={{ flexBasis: `${Math.max(0, Math.min(1, one.budget_left ?? 0)) * 100}%` }} /></div>
              <p>{budgetText(one)}</p>
              <Facts rows={one.rates.map((rate) => [
                `${span(rate.long_ms)} and ${span(rate.short_ms)}, up to ${rate.factor}×`,
                <span class={rate.beyond ? "problem" : ""}>{rate.beyond && "▲ "}{times(rate.long)} and {times(rate.short)}</span>,
              ])} />
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function Host({ system }: { system: System }) {
  const percent = (value: number | null) => (value === null ? "–" : `${value.toFixed(1)} %`);
  const look = system.level === "NORMAL" ? overallLook("HEALTHY") : overallLook(system.level === "ELEVATED" ? "WARNING" : "CRITICAL");
  return (
    <Panel title="This server" aside={<Chip look={{ ...look, text: system.level.toLowerCase() }} />}>
      <dl class="numbers">
        <Number_ name="loop lag p99" value={ms(system.lag_p99_ms)} />
        <Number_ name="memory" value={bytes(system.memory_bytes)} />
        <Number_ name="descriptors" value={count(system.fds)} quiet={system.fds_max === null ? undefined : ` of ${count(system.fds_max)}`} />
        <Number_ name="CPU stalls" value={percent(system.cpu_some_percent)} />
        <Number_ name="memory stalls" value={percent(system.memory_some_percent)} />
        <Number_ name="disk stalls" value={percent(system.io_full_percent)} />
        <Number_ name="load" value={system.load1 === null ? "–" : system.load1.toFixed(2)} />
        <Number_ name="stress" value={`${system.stress}`} quiet=" of 7" />
      </dl>
      {system.reasons && system.reasons.length > 0 && <p class="problem">{system.reasons.join(", ")}</p>}
      {system.degraded.length > 0 && <p class="quiet">Not known here: {system.degraded.join(", ")}.</p>}
    </Panel>
  );
}

export function Overview() {
  const summary = useSummary();
  const { value, error } = useAsked(() => askMaybe<{ objectives: Objective[] }>("/api/v1/monitor/objectives"), 5000, []);
  const objectives = (!error && value?.objectives) || [];
  if (!summary) return <Empty>Loading…</Empty>;
  return (
    <>
      <p class={`sentence ${overallLook(summary.status).tone}`}>
        <span aria-hidden="true">{overallLook(summary.status).sign}</span> <strong>{overallLook(summary.status).text}</strong> {summary.sentence}
      </p>
      <div class="grid">
        <div class="heads">
          <Grades summary={summary} />
          <Numbers summary={summary} objectives={objectives} />
          {summary.system && <Host system={summary.system} />}
        </div>
        <ActiveAlerts />
        <Budgets objectives={objectives} error={error} />
        <WorstFirst />
        <Timeline />
      </div>
      <p class="quiet">{summary.at && `As of ${clock(summary.at)}`}</p>
    </>
  );
}
