// Bundles the dashboard into `dist/`, which is committed: the server is built without node.
import { build } from "esbuild";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipAsync } from "@gfx/zopfli";
import { minify } from "terser";

/** The most that script and style may take together, packed. */
const MOST = 50_000;

/** How often the packer looks for something smaller: more of it finds next to nothing. */
const ROUNDS = 15;

/** What of uPlot the pages do not use: formats of dates (theirs are given), steps, splines, joins. */
const UNUSED = [
  ["uPlot.join = join;", ""],
  ["uPlot.fmtDate = fmtDate;", ""],
  ["uPlot.tzDate  = tzDate;", ""],
  ["uPlot.addGap = addGap;", ""],
  ["uPlot.clipGaps = clipGaps;", ""],
  ["(paths.stepped = stepped);", ""],
  ["(paths.spline  = monotoneCubic);", ""],
  ["const _fmtDate = (opts.fmtDate || fmtDate);", ""],
  ["timeAxisVals(_tzDate, timeAxisStamps((ms == 1 ? _timeAxisStampsMs : _timeAxisStampsS), _fmtDate))", "numAxisVals"],
  ["timeSeriesVal(_tzDate, timeSeriesStamp(_timeSeriesStamp, _fmtDate))", "numSeriesVal"],
  ["isStr(sv) ? timeSeriesVal(_tzDate, timeSeriesStamp(sv, _fmtDate)) : ", ""],
  ["timeAxisVals(_tzDate, timeAxisStamps(av, _fmtDate))", "numAxisVals"],
  ["timeAxisVal(_tzDate, av)", "numAxisVals"],
];

/** Its functions for scales that no page has: logarithmic and hyperbolic ones. */
const STUBS = ["rangeLog", "rangeAsinh", "logAxisSplits", "asinhAxisSplits", "log10AxisValsFilt", "log2AxisValsFilt"];

/** A function of the top level, without what is in it. */
function stub(source, name) {
  const start = source.indexOf(`\nfunction ${name}(`);
  const end = source.indexOf("\n}\n", start);
  if (start < 0 || end < 0) throw new Error(`uPlot has no ${name}`);
  return `${source.slice(0, start)}\nfunction ${name}() {}${source.slice(end + 2)}`;
}

/** Leaves that out; fails where another version of uPlot has it otherwise. */
const lean = {
  name: "lean",
  setup({ onLoad }) {
    onLoad({ filter: /uPlot\.esm\.js$/ }, ({ path }) => {
      let contents = readFileSync(path, "utf8");
      for (const [part, instead] of UNUSED) {
        if (!contents.includes(part)) throw new Error(`uPlot has no ${part}`);
        contents = contents.replace(part, instead);
      }
      contents = contents.replace(/const _timeAxisStamps = \[[^;]*\];/, "const _timeAxisStamps = 0;");
      contents = STUBS.reduce(stub, contents);
      return { contents, loader: "js" };
    });
  },
};

mkdirSync("dist", { recursive: true });
await build({
  entryPoints: { app: "src/app.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome111", "firefox121", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  charset: "utf8",
  outdir: "dist",
  plugins: [lean],
});
// A second pass finds what the bundler does not look for: about 5 % of what is packed.
const smaller = await minify(readFileSync("dist/app.js", "utf8"), {
  module: true,
  ecma: 2020,
  compress: { passes: 4, unsafe_arrows: true, pure_getters: true, keep_fargs: false },
});
writeFileSync("dist/app.js", smaller.code);
for (const name of ["index.html", "icon.svg"]) {
  writeFileSync(`dist/${name}`, readFileSync(`src/${name}`));
}

let packed = 0;
for (const name of ["app.js", "app.css"]) {
  const plain = readFileSync(`dist/${name}`);
  // Not the zlib of this machine, whose versions write other bytes for the same content; 4 % smaller, too.
  const smallest = await gzipAsync(plain, { numiterations: ROUNDS });
  writeFileSync(`dist/${name}.gz`, smallest);
  packed += smallest.length;
  console.log(`${name}: ${plain.length} bytes, ${smallest.length} packed`);
}
console.log(`together ${packed} bytes packed, allowed: less than ${MOST}`);
if (packed >= MOST) {
  console.error("too large");
  process.exit(1);
}
