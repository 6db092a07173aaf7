// What the configuration says, and what is known about ids.
import { ask, askMaybe, Problem } from "../api";
import { count, stamp } from "../format";
import { filter, param } from "../route";
import { Chip, Empty, Facts, List, Panel, Raw, Search, useAsked } from "../ui";

interface Setting {
  name: string; value: string; source: string;
}

export function Settings() {
  const { value, error } = useAsked(() => ask<{ applied_at: string; settings: Setting[] }>("/api/v1/settings"), 10_000, []);
  const { value: health } = useAsked(() => ask<{ version: string; uptime_ms: number }>("/health"), null, []);
  const text = param("q").toLowerCase();
  const rows = value?.settings.filter((one) => `${one.name} ${one.value} ${one.source}`.toLowerCase().includes(text)) ?? [];
  return (
    <Panel title="Settings" aside={<span class="quiet">{health && `version ${health.version} · `}in force since {stamp(value?.applied_at)}</span>}>
      <p class="quiet">Read only: they are changed in the file, which the server reads again at SIGHUP. Secrets are not shown.</p>
      {error && <p class="problem">{error}</p>}
      <div class="filters"><Search label="Search" value={param("q")} change={(next) => filter("q", next)} hint="name, value or source" /></div>
      {rows.length ? (
        <List label="Settings" rows={rows} id={(one) => one.name} most={22} columns={[
          { name: "Setting", width: "minmax(9rem, 1fr)", cell: (one) => <code>{one.name}</code> },
          { name: "Value", width: "minmax(7rem, 1.2fr)", cell: (one) => <span title={one.value}>{one.value || "–"}</span> },
          { name: "Source", width: "minmax(6rem, 1fr)", minor: 1, cell: (one) => <span title={one.source}>{one.source}</span> },
        ]} />
      ) : <Empty>{value ? "No setting fits." : "Loading…"}</Empty>}
    </Panel>
  );
}

export interface IdHealth {
  status: string; version: string; profile: string; format: string; authority: string; entityTypes: string[];
  runningOut: Sequence[];
}

export const idHealth = async () => {
  try {
    return await askMaybe<IdHealth>("/v1/health");
  } catch (error) {
    // One that is not well says so with 503, and all the same what it is.
    const said = error instanceof Problem ? (error.said as IdHealth | null) : null;
    if (said?.entityTypes) return said;
    throw error;
  }
};

interface Sequence {
  sequence: string; limit: number; left: number;
}

export function ChittyId() {
  const { value, error } = useAsked(idHealth, 5000, []);
  const { value: used, error: unknown } = useAsked(() => askMaybe<{ sequences: Sequence[] }>("/v1/sequences"), 2000, []);
  if (error) return <Panel title="ChittyID"><p class="problem">{error}</p></Panel>;
  if (value === undefined) return <Panel title="ChittyID"><Empty>Loading…</Empty></Panel>;
  if (value === null) return <Panel title="ChittyID"><Empty>This server mints no ids.</Empty></Panel>;
  const well = value.status === "healthy";
  return (
    <Panel title="ChittyID" aside={<Chip look={well ? { tone: "good", sign: "●", text: "healthy" } : { tone: "bad", sign: "■", text: value.status }} />}>
      <Facts rows={[
        ["Authority", value.authority],
        ["Profile", String(value.profile)],
        ["Form", <code>{value.format}</code>],
        ["Kinds", value.entityTypes.join(", ")],
        ["Version", value.version],
      ]} />
      <h3>Sequences in use</h3>
      {unknown ? <p class="problem">{unknown}</p> : used?.sequences.length ? (
        <List label="Sequences" rows={used.sequences} id={(one) => one.sequence} columns={[
          { name: "Sequence", width: "minmax(8rem, 1fr)", cell: (one) => <code>{one.sequence}</code> },
          { name: "Given", width: "6rem", number: true, cell: (one) => count(one.limit - one.left) },
          { name: "Left", width: "6rem", number: true, cell: (one) => count(one.left) },
          { name: "State", width: "8rem", cell: ({ sequence }) => (value.runningOut.some((one) => one.sequence === sequence) ? <Chip look={{ tone: "warn", sign: "▲", text: "runs low" }} /> : "enough") },
        ]} />
      ) : <Empty>{used === undefined ? "Loading…" : "No id was given since the server's start."}</Empty>}
      <Raw path="/v1/health" value={value} />
    </Panel>
  );
}
