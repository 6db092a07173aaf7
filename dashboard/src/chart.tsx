// Series over time, with one cursor for all of them.
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import { colour, theme } from "./theme";
import type { Cell } from "./types";
import { clock, stamp } from "./format";

export interface Line {
  label: string;
  colour: string;
  value: (cell: Cell) => number | null;
  /** Drawn as a band up to the line before it. */
  band?: boolean;
  bars?: boolean;
  dash?: boolean;
}

/** A time that is marked. */
export interface Mark {
  from: number;
  to: number;
  bad: boolean;
}

interface Props {
  title: string;
  unit: (value: number | null) => string;
  cells: Cell[];
  step: number;
  /** How far back it shows, in milliseconds. */
  span: number;
  lines: Line[];
  marks: Mark[];
  height: number;
}

/** Empty cells between those that there are: no data is a gap, not a line. */
function filled(cells: Cell[], step: number): (Cell | null)[] {
  const all: (Cell | null)[] = [];
  let before: Cell | undefined;
  for (const cell of cells) {
    if (before && cell.at_ms - before.at_ms > step * 1.5) all.push(null);
    all.push(cell);
    before = cell;
  }
  return all;
}

function data(props: Props): uPlot.AlignedData {
  const all = filled(props.cells, props.step);
  let last = 0;
  const times = all.map((cell) => (last = cell ? cell.at_ms / 1000 : last + 0.001));
  return [times, ...props.lines.map((line) => all.map((cell) => (cell ? line.value(cell) : null)))] as uPlot.AlignedData;
}

function options(props: Props, width: number): uPlot.Options {
  const text = colour("--quiet");
  const grid = { stroke: colour("--line"), width: 1 };
  const font = "11px system-ui, sans-serif";
  return {
    width,
    height: props.height,
    cursor: { sync: { key: "timeline" }, y: false, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: true, range: () => [(Date.now() - props.span) / 1000, Date.now() / 1000] } },
    axes: [
      { stroke: text, grid, ticks: grid, font, values: (_, all) => all.map((at) => (props.span > 172_800_000 ? stamp(at * 1000).slice(5, 10) : clock(at * 1000).slice(0, 5))) },
      { stroke: text, grid, ticks: grid, font, size: 62, values: (_, all) => all.map((value) => props.unit(value)) },
    ],
    bands: props.lines.flatMap((line, index) => (line.band ? [{ series: [index, index + 1] as uPlot.Band.Bounds, fill: colour("--band") }] : [])),
    series: [
      { label: "at", value: (_, at) => (at == null ? "–" : stamp(at * 1000)) },
      ...props.lines.map((line): uPlot.Series => ({
        label: line.label,
        stroke: colour(line.colour),
        width: line.bars ? 0 : 1.5,
        // A point between gaps is no line, and must be seen.
        points: { show: (plot: uPlot) => plot.data[0].length < 60, size: 4 },
        ...(line.dash ? { dash: [5, 4] } : {}),
        ...(line.bars ? { fill: colour(line.colour), paths: uPlot.paths.bars!({ size: [0.8, 12] }) } : {}),
        value: (_, value) => (value == null ? "–" : props.unit(value)),
      })),
    ],
    hooks: {
      drawClear: [
        (plot) => {
          for (const mark of props.marks) {
            const from = plot.valToPos(mark.from / 1000, "x", true);
            const to = plot.valToPos(mark.to / 1000, "x", true);
            const left = Math.max(plot.bbox.left, from);
            const right = Math.min(plot.bbox.left + plot.bbox.width, to);
            if (right <= left) continue;
            plot.ctx.fillStyle = colour(mark.bad ? "--mark-bad" : "--mark-warn");
            plot.ctx.fillRect(left, plot.bbox.top, Math.max(2, right - left), plot.bbox.height);
          }
        },
      ],
    },
  };
}

export function Chart(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const latest = useRef(props);
  latest.current = props;
  const shape = `${theme.value}|${props.span}|${props.title}|${props.lines.map((line) => line.label).join()}|${JSON.stringify(props.marks)}`;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(options(latest.current, element.clientWidth || 600), data(latest.current), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth || 600, height: latest.current.height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [shape]);
  useEffect(() => {
    plot.current?.setData(data(props));
  }, [props.cells]);
  const last = props.cells.at(-1);
  const told = props.lines.map((line) => `${line.label} ${props.unit(last ? line.value(last) : null)}`).join(", ");
  return (
    <figure class="chart">
      <figcaption>{props.title}</figcaption>
      <div ref={box} role="img" aria-label={`${props.title}, latest: ${told}`} />
    </figure>
  );
}
