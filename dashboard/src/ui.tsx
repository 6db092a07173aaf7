// What pages are made of.
import { signal, useComputed } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask, Problem } from "./api";
import { CELLS, CELL_MS, cells, type Level } from "./cells";
import { span, type Look } from "./format";
import { now } from "./live";
import { colour, theme } from "./theme";

export function Chip({ look, title }: { look: Look; title?: string | undefined }) {
  return (
    <span class={`chip ${look.tone}`} title={title}>
      <span aria-hidden="true">{look.sign}</span> {look.text}
    </span>
  );
}

export function Panel(props: { title: string; aside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <section class="panel" aria-label={props.title}>
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>;

/** Facts in pairs. */
export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A number that goes on counting down from when it was heard. */
export function Countdown({ until }: { until: number | null }) {
  const left = useComputed(() => (until === null ? null : until - now.value)).value;
  if (left === null) return <>–</>;
  return <span class="num">{left <= 0 ? "now" : `in ${span(left + 999)}`}</span>;
}

const LEVELS = ["not watched", "well", "not quite well", "bad"];

/** The last ten minutes as bars: height and colour both say how it was. */
export function Bars({ name, of, levels, step = CELL_MS }: { name: string; of: string; levels?: Level[]; step?: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const beat = Math.floor(now.value / 2000);
  const shown = levels ?? cells(of, now.value);
  const bad = shown.filter((level) => level === 3).length;
  const weak = shown.filter((level) => level === 2).length;
  const known = shown.filter((level) => level > 0).length;
  const label = `${name}, last ${span(shown.length * step)}: ${known} of ${shown.length} cells known, ${bad} bad, ${weak} not quite well`;
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const scale = devicePixelRatio || 1;
    const [width, height] = [shown.length * 3, 18];
    element.width = width * scale;
    element.height = height * scale;
    context.scale(scale, scale);
    shown.forEach((level, index) => {
      context.fillStyle = colour(["--bar-none", "--bar-good", "--bar-warn", "--bar-bad"][level] ?? "--bar-none");
      const tall = [4, 10, 14, 18][level] ?? 4;
      context.fillRect(index * 3, height - tall, 2, tall);
    });
  }, [beat, shown.join(""), theme.value]);
  const [at, setAt] = useState<number | null>(null);
  const move = (event: JSX.TargetedKeyboardEvent<HTMLCanvasElement>) => {
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (!step) return;
    event.preventDefault();
    setAt((old) => Math.min(shown.length - 1, Math.max(0, (old ?? shown.length) + step)));
  };
  const told = at === null ? label : `${name}, ${span((shown.length - at) * step)} ago: ${LEVELS[shown[at] ?? 0]}`;
  return (
    <canvas ref={canvas} class="bars" role="img" tabIndex={0} aria-label={told} title={told} onKeyDown={move}
      onBlur={() => setAt(null)} style={{ width: `${(levels?.length ?? CELLS) * 3}px` }} />
  );
}

/** Asked for again every so often while it is on the page. */
export function useAsked<T>(load: () => Promise<T>, every: number | null, deps: unknown[]): { value: T | undefined; error: string; again: () => void } {
  const [value, setValue] = useState<T>();
  const [error, setError] = useState("");
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let there = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const round = async () => {
      // Nobody looks: the page asks again when somebody does.
      if (every !== null && document.hidden) {
        timer = setTimeout(round, every);
        return;
      }
      try {
        const loaded = await load();
        if (there) setValue(() => loaded);
        if (there) setError("");
      } catch (problem) {
        if (there) setError(problem instanceof Problem ? problem.message : String(problem));
      }
      if (there && every !== null) timer = setTimeout(round, every);
    };
    void round();
    return () => {
      there = false;
      clearTimeout(timer);
    };
  }, [...deps, turn]);
  return { value, error, again: () => setTurn((old) => old + 1) };
}

/** Something that is done once somebody has said yes. */
interface Question {
  title: string;
  text: string;
  verb: string;
  danger: boolean;
  field?: { label: string; value: string; required: boolean };
  act: (said: string) => Promise<unknown>;
  done?: (() => void) | undefined;
}
const question = signal<Question | null>(null);
export const notice = signal("");

export function confirm(asked: Question) {
  question.value = asked;
}

/** A button that asks once, does it, and says what came of it. */
export function Act(props: { label: string; title: string; text: string; path: string; method?: string; body?: (said: string) => unknown;
  danger?: boolean; field?: Question["field"]; done?: () => void; told?: (answer: any) => string }) {
  const press = () =>
    confirm({
      title: props.title,
      text: props.text,
      verb: props.label,
      danger: props.danger ?? false,
      ...(props.field ? { field: props.field } : {}),
      act: async (said) => {
        const answer = await ask<unknown>(props.path, props.method ?? "POST", props.body?.(said));
        notice.value = props.told?.(answer) ?? `Done: ${props.title}`;
      },
      done: props.done,
    });
  return (
    <button type="button" class={props.danger ? "danger" : ""} onClick={press}>
      {props.label}
    </button>
  );
}

export function Dialogs() {
  const asked = question.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState("");
  const [said, setSaid] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setError("");
    setSaid(asked?.field?.value ?? "");
    if (asked) dialog.current?.showModal();
    else dialog.current?.close();
  }, [asked]);
  const act = async (event: Event) => {
    event.preventDefault();
    if (!asked || busy) return;
    setBusy(true);
    try {
      await asked.act(said);
      question.value = null;
      asked.done?.();
    } catch (problem) {
      setError(problem instanceof Error ? problem.message : String(problem));
    }
    setBusy(false);
  };
  const close = () => {
    question.value = null;
  };
  return (
    <>
      <dialog ref={dialog} onClose={close} aria-labelledby="asked-title" aria-describedby="asked-text">
        {asked && (
          <form onSubmit={act}>
            <h2 id="asked-title">{asked.title}</h2>
            <p id="asked-text">{asked.text}</p>
            {asked.field && (
              <label>
                {asked.field.label}
                <input value={said} required={asked.field.required} onInput={(event) => setSaid(event.currentTarget.value)} />
              </label>
            )}
            {error && <p class="problem" role="alert">{error}</p>}
            <div class="actions">
              <button type="button" onClick={close}>Cancel</button>
              <button type="submit" class={asked.danger ? "danger primary" : "primary"} disabled={busy}>
                {asked.verb}
              </button>
            </div>
          </form>
        )}
      </dialog>
      <p class="notice" role="status" aria-live="polite">{notice.value}</p>
    </>
  );
}

let noticed: ReturnType<typeof setTimeout> | undefined;
notice.subscribe((text) => {
  clearTimeout(noticed);
  if (text) noticed = setTimeout(() => (notice.value = ""), 6000);
});

export interface Column<T> {
  name: string;
  /** A part of the grid: `6rem`, `minmax(8rem, 1fr)`. */
  width: string;
  /** Left out on small screens; 2: on medium ones, too. */
  minor?: 1 | 2;
  number?: boolean;
  cell: (row: T) => ComponentChildren;
}

const ROW = 34;
const BEYOND = 6;

/** A list of which only what is seen is in the page, be it of a hundred thousand rows. */
export function List<T>(props: { label: string; rows: readonly T[]; columns: Column<T>[]; id: (row: T) => string; open?: (row: T) => string;
  end?: () => void; seen?: (ids: string[]) => void; most?: number; total?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setHeight(element.clientHeight));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const { rows, columns } = props;
  const first = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + BEYOND);
  useEffect(() => {
    if (last >= rows.length - BEYOND) props.end?.();
  }, [last, rows.length]);
  useEffect(() => props.seen?.(rows.slice(first, last).map(props.id)), [first, last, rows]);
  const wide = columns.map((column) => column.width).join(" ");
  const without = (most: number) => columns.filter((column) => (column.minor ?? 0) <= most).map((column) => column.width).join(" ");
  const style = { "--wide": wide, "--mid": without(1), "--narrow": without(0) } as JSX.CSSProperties;
  const cell = (column: Column<T>) => `${column.minor ? `minor-${column.minor} ` : ""}${column.number ? "num" : ""}`;
  return (
    <div class="list" role="table" aria-label={props.label} aria-rowcount={(props.total ?? rows.length) + 1} style={style}>
      <div class="row head" role="row" aria-rowindex={1}>
        {columns.map((column) => <div key={column.name} role="columnheader" class={cell(column)}>{column.name}</div>)}
      </div>
      <div class="scroll" ref={box} tabIndex={0} role="rowgroup" aria-label={`${props.label}: rows`}
        style={{ maxHeight: `${(props.most ?? 16) * ROW + 2}px` }} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
        <div role="presentation" style={{ height: `${first * ROW}px` }} />
        {rows.slice(first, last).map((row, index) => (
          <div class="row" role="row" key={props.id(row)} aria-rowindex={first + index + 2} data-row={props.id(row)}>
            {columns.map((column, nr) => (
              <div key={column.name} role="cell" class={cell(column)}>
                {nr === 0 && props.open ? <a href={props.open(row)}>{column.cell(row)}</a> : column.cell(row)}
              </div>
            ))}
          </div>
        ))}
        <div role="presentation" style={{ height: `${(rows.length - last) * ROW}px` }} />
      </div>
    </div>
  );
}

export function Select(props: { label: string; value: string; options: [string, string][]; change: (value: string) => void }) {
  return (
    <label class="field">
      {props.label}
      <select value={props.value} onChange={(event) => props.change(event.currentTarget.value)}>
        {props.options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
      </select>
    </label>
  );
}

export function Search(props: { label: string; value: string; change: (value: string) => void; hint?: string }) {
  return (
    <label class="field grow">
      {props.label}
      <input type="search" data-search value={props.value} placeholder={props.hint}
        onInput={(event) => props.change(event.currentTarget.value)} />
    </label>
  );
}

/** What the API says, and how to ask it oneself. */
export function Raw({ path, value }: { path: string; value: unknown }) {
  const command = `curl -s ${location.origin}${path}`;
  return (
    <details class="raw">
      <summary>JSON</summary>
      <p><code>{command}</code></p>
      <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>
    </details>
  );
}
