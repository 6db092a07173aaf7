// The rows of the API, as far as the pages look at them.

export type LinkState =
  | "CONNECTED" | "CONNECTING" | "RECONNECTING" | "SUSPENDED" | "FAILED" | "DISCONNECTED" | "CLOSING";

export interface Breaker {
  state: string;
  remaining_ms: number | null;
  consecutive_failures: number;
  calls: number;
  failed: number;
  slow: number;
  admitted_share: number;
  openings: number;
  isolations: number;
}

export interface Link {
  name: string;
  target: string;
  state: LinkState;
  healthy: boolean;
  stable: boolean;
  since: string | null;
  attempt: number;
  next_retry_ms: number | null;
  suspended: string | null;
  failed: string | null;
  last_error: { at: string; message: string } | null;
  stats: {
    total_connections: number;
    total_reconnections: number;
    total_failures: number;
    total_health_checks: number;
    successful_health_checks: number;
    failed_health_checks: number;
    health_check_success_rate: number;
    uptime_ms: number;
    total_reconnect_attempts: number;
    last_health_check: string | null;
  };
  rtt: { last_us: number | null; smoothed_us: number | null; variation_us: number | null; min_us: number | null };
  endpoints: { url: string; current: boolean; failures: number; ejected_ms: number | null; rtt_us: number | null }[] | null;
  policy: string | null;
  breaker: Breaker | null;
}

export interface Gate {
  name: string;
  breaker: Breaker | null;
  held_ms: number | null;
  retry_after_ms: number | null;
  in_flight: number | null;
  in_flight_max: number | null;
  budget: number | null;
  admitted: number;
  rejected: number;
  succeeded: number;
  failed: number;
  abandoned: number;
}

export type Status = "CONNECTED" | "SUSPENDED" | "RECONNECTING" | "DISCONNECTED" | "FAILED";
export type Quality = "EXCELLENT" | "GOOD" | "POOR" | "CRITICAL" | "UNKNOWN";

export interface Session {
  session: string;
  generation: number;
  user: string | null;
  organisation: string;
  client_type: string;
  client_version: string;
  status: Status;
  ended: string | null;
  registered_at: string;
  connected_at: string;
  last_heartbeat: string;
  disconnected_at: string | null;
  expires_at: string | null;
  reconnect_attempts: number;
  max_reconnect_attempts: number;
  total_disconnections: number;
  quality: Quality;
  factor: string;
  latency_us: number | null;
  jitter_us: number | null;
  latency_min_us: number | null;
  missed_heartbeats: number;
  loss: number;
  heartbeat_interval_ms: number;
  grace_ms: number;
}

/** How silent a session is, and what comes of that unless it is heard. */
export interface Silence {
  silent_ms: number;
  suspected: boolean;
  suspect_at: string;
  dead_at: string;
  asked_at: string | null;
  held: boolean;
  phi: number;
  phi_suspect: number;
  phi_dead: number;
}

export type Severity = "LOW" | "MEDIUM" | "HIGH" | "CRITICAL";

export interface Alert {
  id: string;
  rule: string;
  severity: Severity | null;
  state: "INACTIVE" | "PENDING" | "FIRING" | "KEEP" | "RESOLVED";
  labels: Record<string, string>;
  summary: string;
  value: number | null;
  threshold: number | null;
  unit: string;
  incident: number;
  since: string | null;
  resolved_at: string | null;
  acknowledged: { who: string; note: string; at: string; expires: string | null } | null;
  silenced: { who: string; reason: string; at: string; expires: string | null; until_resolved: boolean } | null;
  inhibited_by: string | null;
  inhibits: number;
  maintenance: string | null;
  flapping: boolean;
  no_data: boolean;
  runbook: string | null;
}

export interface Objective {
  name: string;
  signal: string;
  of: string | null;
  objective: number;
  since: string | null;
  failed: number;
  all: number;
  allowed: number;
  success: number | null;
  budget_left: number | null;
  rates: { severity: Severity; factor: number; long_ms: number; long: number | null; short_ms: number; short: number | null; beyond: boolean }[];
  firing: Severity | null;
  alert: string | null;
}

export interface Summary {
  status: "HEALTHY" | "WARNING" | "CRITICAL";
  sentence: string;
  sessions: Record<string, number>;
  quality: Record<Quality, number>;
  links: Record<string, number>;
  gates: { closed: number; open: number; half_open: number };
  latency_ms: { mean: number | null; p50: number | null; p95: number | null; p99: number | null; samples: number };
  error_rate: number | null;
  reconnection_rate: number | null;
  /** Of sessions and links. */
  reconnections_per_minute?: number;
  health_check_success_rate: number | null;
  trends: { latency: string; connections: string; errors: string } | null;
  prediction: { latency_minutes_to_threshold: number | null } | null;
  system: System | null;
  alerts: { firing: number; pending: number; unacknowledged: number; by_severity: Record<Severity, number> } | null;
  at: string;
}

export interface System {
  level: "NORMAL" | "ELEVATED" | "OVERLOADED";
  stress: number;
  reasons?: string[];
  lag_p99_ms: number | null;
  memory_bytes: number | null;
  fds: number | null;
  fds_max: number | null;
  cpu_some_percent: number | null;
  memory_some_percent: number | null;
  io_full_percent: number | null;
  load1: number | null;
  degraded: string[];
}

export interface Cell {
  at_ms: number;
  n: number;
  ok: number;
  fail: number;
  miss: number;
  min_ms: number | null;
  max_ms: number | null;
  mean_ms: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  level: number | null;
  maintenance?: boolean;
}

export interface Series {
  group: string;
  step_ms: number;
  cells: Cell[];
}

export interface HistoryEvent {
  id?: string;
  at: string;
  event: string;
  [field: string]: unknown;
}
