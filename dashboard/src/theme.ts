// Light or dark: as the system says, unless somebody chose.
import { signal } from "@preact/signals";

const STORE = "mainstay.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen(): string | null {
  try {
    return localStorage.getItem(STORE);
  } catch {
    return null;
  }
}

const now = () => (chosen() ?? (dark.matches ? "dark" : "light")) as "light" | "dark";
export const theme = signal(now());

const resolved = new Map<string, string>();
theme.subscribe((value) => {
  document.documentElement.dataset["theme"] = value;
  resolved.clear();
});
dark.addEventListener("change", () => {
  theme.value = now();
});

export function toggle() {
  const next = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(STORE, next);
  } catch {
    // It is chosen until the page is closed.
  }
  theme.value = next;
}

/** A colour of the style, for what is drawn. */
export function colour(name: string): string {
  let value = resolved.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    resolved.set(name, value);
  }
  return value;
}
