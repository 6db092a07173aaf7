// How things were in the last ten minutes, in cells of ten seconds, as far as this page saw it.
export const CELL_MS = 10_000;
export const CELLS = 60;

/** 0: not watched, 1: well, 2: not quite, 3: bad. */
export type Level = 0 | 1 | 2 | 3;

const seen = new Map<string, Map<number, Level>>();

export function mark(key: string, level: Level, at = Date.now()) {
  let cells = seen.get(key);
  if (!cells) seen.set(key, (cells = new Map()));
  const cell = Math.floor(at / CELL_MS);
  const before = cells.get(cell) ?? 0;
  if (level > before) cells.set(cell, level);
  if (cells.size > CELLS + 4) for (const old of cells.keys()) if (old < cell - CELLS) cells.delete(old);
}

export function cells(key: string, at: number): Level[] {
  const last = Math.floor(at / CELL_MS);
  const known = seen.get(key);
  return Array.from({ length: CELLS }, (_, index) => known?.get(last - CELLS + 1 + index) ?? 0);
}
