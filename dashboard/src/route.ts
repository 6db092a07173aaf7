// Where the page is: the part of the address behind `#`, with filters behind a `?` in it.
import { signal } from "@preact/signals";

export interface Place {
  parts: string[];
  params: URLSearchParams;
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), params: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
addEventListener("hashchange", () => {
  place.value = read();
});

export const href = (...parts: string[]) => `#/${parts.map(encodeURIComponent).join("/")}`;

export function go(...parts: string[]) {
  location.hash = href(...parts);
}

/** Changes a filter without a new entry in the history. */
export function filter(name: string, value: string) {
  const { parts, params } = read();
  if (value) params.set(name, value);
  else params.delete(name);
  const query = params.toString();
  history.replaceState(null, "", href(...parts) + (query ? `?${query}` : ""));
  place.value = read();
}

export const param = (name: string) => place.value.params.get(name) ?? "";
