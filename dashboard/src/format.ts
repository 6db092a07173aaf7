// Numbers and times for people, always with their unit.
import type { Breaker, LinkState, Quality, Severity, Status } from "./types";

export type Tone = "good" | "warn" | "bad" | "idle" | "info";

const counts = new Intl.NumberFormat("en-GB");
export const count = (n: number | null | undefined) => (n == null ? "–" : counts.format(n));

export function ms(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value < 1) return `${(value * 1000).toFixed(0)} µs`;
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 10_000) return `${counts.format(Math.round(value))} ms`;
  return `${(value / 1000).toFixed(1)} s`;
}
export const us = (value: number | null | undefined) => (value == null ? "–" : ms(value / 1000));

export function share(value: number | null | undefined, digits = 1): string {
  if (value == null) return "–";
  const percent = value * 100;
  // 99.97 must not read as 100.
  const text = percent < 100 && percent > 99.9 ? percent.toFixed(2) : percent.toFixed(digits);
  return `${text.replace(/\.0+$/, "")} %`;
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A length of time in its two largest units. */
export function span(milliseconds: number | null | undefined): string {
  if (milliseconds == null || Number.isNaN(milliseconds)) return "–";
  const s = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (large: number, one: string, small: number, other: string) => `${Math.floor(large)} ${one}${small >= 1 ? ` ${Math.floor(small)} ${other}` : ""}`;
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(s / 60, "min", s % 60, "s");
  if (s < 86_400) return two(s / 3600, "h", (s / 60) % 60, "min");
  return two(s / 86_400, "d", (s / 3600) % 24, "h");
}

export const ago = (at: string | null | undefined, now: number) => (at ? `${span(now - Date.parse(at))} ago` : "–");

const pad = (n: number) => String(n).padStart(2, "0");
export function clock(at: string | number | null | undefined): string {
  if (at == null) return "–";
  const date = new Date(at);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
export function stamp(at: string | number | null | undefined): string {
  if (at == null) return "–";
  const date = new Date(at);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(at)}`;
}

/** What a state is: its colour, and a sign for whoever does not see that. */
export interface Look {
  tone: Tone;
  sign: string;
  text: string;
}
const look = (tone: Tone, sign: string, text: string): Look => ({ tone, sign, text });

export function linkLook(state: LinkState): Look {
  switch (state) {
    case "CONNECTED": return look("good", "●", "connected");
    case "CONNECTING": return look("info", "◌", "connecting");
    case "RECONNECTING": return look("warn", "▲", "reconnecting");
    case "SUSPENDED": return look("warn", "◆", "suspended");
    case "FAILED": return look("bad", "■", "failed");
    case "CLOSING": return look("idle", "○", "closing");
    case "DISCONNECTED": return look("idle", "○", "disconnected");
  }
}

export function statusLook(status: Status): Look {
  switch (status) {
    case "CONNECTED": return look("good", "●", "connected");
    case "SUSPENDED": return look("warn", "◆", "suspended");
    case "RECONNECTING": return look("warn", "▲", "reconnecting");
    case "FAILED": return look("bad", "■", "failed");
    case "DISCONNECTED": return look("idle", "○", "disconnected");
  }
}

export const QUALITIES: Quality[] = ["EXCELLENT", "GOOD", "POOR", "CRITICAL", "UNKNOWN"];
export function qualityLook(quality: Quality): Look {
  switch (quality) {
    case "EXCELLENT": return look("good", "●", "excellent");
    case "GOOD": return look("good", "◕", "good");
    case "POOR": return look("warn", "▲", "poor");
    case "CRITICAL": return look("bad", "■", "critical");
    case "UNKNOWN": return look("idle", "○", "not graded");
  }
}

export function breakerLook(breaker: Breaker): Look {
  const text = breaker.state.toLowerCase().replaceAll("_", " ");
  switch (breaker.state.toUpperCase().replaceAll("-", "_")) {
    case "CLOSED": return look("good", "●", text);
    case "HALF_OPEN": return look("warn", "◐", text);
    case "OPEN": return look("bad", "■", text);
    case "DISABLED": return look("idle", "○", "disabled: all pass");
    default: return look("bad", "■", text);
  }
}

export function severityLook(severity: Severity | null): Look {
  switch (severity) {
    case "CRITICAL": return look("bad", "■", "critical");
    case "HIGH": return look("bad", "▲", "high");
    case "MEDIUM": return look("warn", "▲", "medium");
    case "LOW": return look("info", "◆", "low");
    case null: return look("idle", "○", "no severity");
  }
}

export function overallLook(status: string): Look {
  switch (status) {
    case "HEALTHY": return look("good", "●", "healthy");
    case "WARNING": return look("warn", "▲", "warning");
    case "CRITICAL": return look("bad", "■", "critical");
    default: return look("idle", "○", "unknown");
  }
}

const ARROWS: Record<string, [string, Tone, string]> = {
  IMPROVING: ["↘", "good", "improving"],
  DEGRADING: ["↗", "bad", "degrading"],
  WORSENING: ["↗", "bad", "worsening"],
  GROWING: ["↗", "info", "growing"],
  DECLINING: ["↘", "warn", "declining"],
  STABLE: ["→", "idle", "stable"],
  UNKNOWN: ["·", "idle", "too little is known"],
};
export function trendLook(trend: string): Look {
  const [sign, tone, text] = ARROWS[trend] ?? ["·", "idle" as Tone, trend.toLowerCase()];
  return look(tone, sign, text);
}

const FACTORS: Record<string, string> = {
  RTT: "round trips take long",
  JITTER: "round trips differ",
  LOSS: "beats are lost",
  FLAPPING: "reconnects often",
  SILENCE: "nothing was heard",
};
export const factor = (name: string) => FACTORS[name.toUpperCase()] ?? "";
