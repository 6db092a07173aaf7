// Calls that are retried, and the gates they go through.
import { ask } from "../api";
import { clock, count, share, span } from "../format";
import { gates } from "../live";
import { filter, href, param, place } from "../route";
import { Empty, List, Panel, Search, useAsked } from "../ui";
import { BreakerChip, GatePanel } from "./links";

interface Active {
  id: number; name: string; state: unknown; attempt: number; attempts_max: number; endpoint: string | null; created_at_ms: number; next_attempt_at_ms: number | null;
}
interface Named {
  name: string;
  analytics: { operations: number; success_rate: number; mean_attempts: number; waited_ms: number; waited_share: number };
}

export function Operations() {
  const one = place.value.parts[1];
  const { value, error } = useAsked(() => ask<{ active: Active[]; names: Named[] }>("/api/v1/operations"), 3000, []);
  if (one) return <GatePanel name={one} />;
  const text = param("q").toLowerCase();
  const shown = Object.values(gates.value).filter((gate) => gate.name.toLowerCase().includes(text)).sort((a, b) => b.rejected - a.rejected || a.name.localeCompare(b.name));
  return (
    <>
      <Panel title="Gates" aside={<span class="quiet">{count(shown.length)}</span>}>
        <div class="filters"><Search label="Search" value={param("q")} change={(next) => filter("q", next)} hint="name" /></div>
        {shown.length ? (
          <List label="Gates" rows={shown} id={(gate) => gate.name} open={(gate) => href("operations", gate.name)} columns={[
            { name: "Name", width: "minmax(7rem, 1fr)", cell: (gate) => gate.name },
            { name: "Breaker", width: "9rem", cell: (gate) => <BreakerChip one={gate} /> },
            { name: "Let through", width: "7rem", number: true, cell: (gate) => count(gate.admitted) },
            { name: "Turned away", width: "7rem", number: true, cell: (gate) => count(gate.rejected) },
            { name: "Failed", width: "6rem", number: true, minor: 1, cell: (gate) => count(gate.failed) },
            { name: "Under way", width: "7rem", number: true, minor: 2, cell: (gate) => (gate.in_flight === null ? "–" : `${gate.in_flight} / ${gate.in_flight_max}`) },
            { name: "Budget", width: "5rem", number: true, minor: 2, cell: (gate) => count(gate.budget) },
          ]} />
        ) : <Empty>No gate{text ? " fits" : ": links get one by a policy"}.</Empty>}
      </Panel>
      <Panel title="Operations under way">
        {error && <p class="problem">{error}</p>}
        {value?.active.length ? (
          <List label="Operations under way" rows={value.active} id={(row) => String(row.id)} columns={[
            { name: "Name", width: "minmax(7rem, 1fr)", cell: (row) => row.name },
            { name: "State", width: "8rem", cell: (row) => (typeof row.state === "string" ? row.state : JSON.stringify(row.state)) },
            { name: "Attempt", width: "6rem", number: true, cell: (row) => `${row.attempt} / ${row.attempts_max}` },
            { name: "Since", width: "6rem", number: true, minor: 1, cell: (row) => clock(row.created_at_ms) },
            { name: "Gate", width: "8rem", minor: 1, cell: (row) => row.endpoint ?? "–" },
          ]} />
        ) : <Empty>None. Operations are those of an application that has this server within it.</Empty>}
      </Panel>
      {value && value.names.length > 0 && (
        <Panel title="Operations by name">
          <List label="Operations by name" rows={value.names} id={(row) => row.name} columns={[
            { name: "Name", width: "minmax(7rem, 1fr)", cell: (row) => row.name },
            { name: "Operations", width: "7rem", number: true, cell: (row) => count(row.analytics.operations) },
            { name: "Succeeded", width: "6rem", number: true, cell: (row) => share(row.analytics.success_rate) },
            { name: "Attempts each", width: "7rem", number: true, minor: 1, cell: (row) => row.analytics.mean_attempts.toFixed(2) },
            { name: "Waited", width: "7rem", number: true, minor: 1, cell: (row) => span(row.analytics.waited_ms) },
          ]} />
        </Panel>
      )}
    </>
  );
}
