// Requests to the server that this page came from, and to no other.
import { signal } from "@preact/signals";

const STORE = "mainstay.key";

/** Whether somebody must say who they are first, and why. */
export const login = signal<string | null>(null);

/** The key that is shown, kept until the tab is closed. */
export function key(): string | null {
  try {
    return sessionStorage.getItem(STORE);
  } catch {
    return null;
  }
}

export function useKey(text: string | null) {
  try {
    if (text) sessionStorage.setItem(STORE, text);
    else sessionStorage.removeItem(STORE);
  } catch {
    // A browser that keeps nothing asks again with every page.
  }
  login.value = null;
}

/** What the server said in place of an answer: a problem of RFC 9457. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    /** All that the server said. */
    readonly said: unknown = null,
  ) {
    super(detail);
  }
}

function headers(more: Record<string, string>): Record<string, string> {
  const shown = key();
  return shown ? { ...more, authorization: `Bearer ${shown}` } : more;
}

export async function open(path: string, more: Record<string, string>, abort: AbortSignal): Promise<Response> {
  const answer = await fetch(path, { headers: headers(more), signal: abort, cache: "no-store" });
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer: Response): Promise<Problem> {
  let detail = `${answer.status} ${answer.statusText}`;
  let code = "";
  let said: unknown = null;
  try {
    const body = (await answer.json()) as { detail?: string; code?: string };
    said = body;
    detail = body.detail ?? detail;
    code = body.code ?? "";
  } catch {
    // It is no problem of ours: the status must do.
  }
  if (answer.status === 401) login.value = key() ? detail : "This server asks who you are.";
  return new Problem(answer.status, code, detail, said);
}

export async function ask<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const init: RequestInit = { method, headers: headers({ accept: "application/json" }), cache: "no-store" };
  if (body !== undefined) {
    init.headers = headers({ accept: "application/json", "content-type": "application/json" });
    init.body = JSON.stringify(body);
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Problem(0, "", "The server cannot be reached.");
  }
  if (!answer.ok) throw await problem(answer);
  const said = await answer.text();
  return (said ? JSON.parse(said) : undefined) as T;
}

/** The same, or null where the server has no such thing. */
export async function askMaybe<T>(path: string): Promise<T | null> {
  try {
    return await ask<T>(path);
  } catch (error) {
    if (error instanceof Problem && (error.status === 404 || error.status === 405)) return null;
    throw error;
  }
}
