// A server that runs, services that it watches, and a browser that looks at it.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const ROOT = new URL("../..", import.meta.url).pathname;
export const BINARY = process.env.MAINSTAY_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/mainstay");
/** How long anything may take on a machine that has other things to do. */
export const PATIENCE = 30_000;

/** A real HTTP service that can be well, sick, or gone. */
export class Service {
  well = true;

  static async start(port = 0) {
    const service = new Service();
    service.server = createServer((_, answer) => {
      setTimeout(() => {
        answer.statusCode = service.well ? 200 : 503;
        answer.end(service.well ? "ok" : "no");
      }, 2 + Math.random() * 8);
    });
    await new Promise((done) => service.server.listen(port, "127.0.0.1", done));
    service.port = service.server.address().port;
    return service;
  }

  /** Takes no connection any more, and drops those that there are. */
  async stop() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }
}

/** A real receiver of webhooks, which answers what it is told to, and remembers what it got. */
export class Hook {
  status = 200;
  got = [];

  static async start() {
    const hook = new Hook();
    hook.server = createServer((asked, answer) => {
      let body = "";
      asked.on("data", (part) => (body += part));
      asked.on("end", () => {
        hook.got.push({ headers: asked.headers, body: JSON.parse(body) });
        answer.statusCode = hook.status;
        answer.end();
      });
    });
    await new Promise((done) => hook.server.listen(0, "127.0.0.1", done));
    hook.url = `http://127.0.0.1:${hook.server.address().port}/told`;
    return hook;
  }

  async stop() {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeAllConnections();
    await closed;
  }
}

/** `mainstay serve` with this configuration, on a free port unless one is named. */
export class Server {
  static async start(config, { port = 0, environment = {} } = {}) {
    const server = new Server();
    server.folder = mkdtempSync(join(tmpdir(), "mainstay-dashboard-"));
    const file = join(server.folder, "mainstay.toml");
    writeFileSync(file, config);
    const flags = ["serve", "--config", file, "--listen", `127.0.0.1:${port}`, "--data-dir", join(server.folder, "data"), "--log-format", "json"];
    server.child = spawn(BINARY, flags, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    server.errors = "";
    server.child.stderr.on("data", (text) => (server.errors = (server.errors + text).slice(-4000)));
    const lines = createInterface(server.child.stdout);
    server.url = await new Promise((done, failed) => {
      lines.on("line", (line) => {
        const said = JSON.parse(line);
        if (said.event === "server.started") done(said.address);
      });
      server.child.on("exit", (code) => failed(new Error(`the server ended with ${code}: ${server.errors}`)));
      setTimeout(() => failed(new Error("the server does not start")), PATIENCE).unref();
    });
    server.port = Number(new URL(server.url).port);
    server.agent = new Agent({ keepAlive: true, maxSockets: 48 });
    return server;
  }

  ask(method, path, body, headers = {}) {
    return new Promise((done, failed) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const kind = text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
      const asked = request(this.url + path, { method, agent: this.agent, headers: { ...headers, ...kind } }, (answer) => {
        let said = "";
        answer.on("data", (part) => (said += part));
        answer.on("end", () => {
          try {
            done({ status: answer.statusCode, body: said ? JSON.parse(said) : null });
          } catch {
            done({ status: answer.statusCode, body: said });
          }
        });
      });
      asked.on("error", failed);
      asked.end(text);
    });
  }

  /** Sessions over HTTP, as a client begins them; answers their ids. */
  async sessions(count, organisations = 7) {
    const kinds = ["WEB_APP", "MOBILE_APP", "DESKTOP_APP"];
    const ids = [];
    let next = 0;
    const worker = async () => {
      for (let n = next++; n < count; n = next++) {
        const hello = { v: 1, client: { type: kinds[n % 3], version: "1" }, user: `user-${String(n).padStart(5, "0")}`, organisation: `team-${n % organisations}` };
        const { status, body } = await this.ask("POST", "/api/v1/sessions", hello);
        if (status !== 201) throw new Error(`session ${n}: ${status} ${JSON.stringify(body)}`);
        ids.push(body.session);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    return ids;
  }

  async stop() {
    this.agent.destroy();
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), 15_000);
    await ended;
    clearTimeout(late);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Ends as a machine does that loses its power. */
  async kill() {
    this.agent.destroy();
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGKILL");
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const config = (links, more = "", engine = "memory") => `
[server]
status_page = true
shutdown_deadline = "5s"
[store]
engine = "${engine}"
[monitor]
interval = "1s"
[[rule]]
id = "CIRCUIT_OPEN"
high = { enter = 0.001, exit = 0.001 }
${more}
${Object.entries(links)
  .map(
    ([name, port]) => `[[link]]
name = "${name}"
url = "http://127.0.0.1:${port}/health"
policy = "default"
health = { interval = "500ms", timeout = "400ms" }
`,
  )
  .join("")}`;

export const browser = () =>
  chromium.launch({
    executablePath: process.env.MAINSTAY_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

/** A page that notes what it should not do. */
export async function visit(web, url, { path = "", ...options } = {}) {
  const context = await web.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.foreign = [];
  page.faults = [];
  page.on("request", (asked) => {
    if (new URL(asked.url()).origin !== new URL(url).origin) page.foreign.push(asked.url());
  });
  page.on("pageerror", (error) => page.faults.push(error.message));
  // What the policy forbids is told there, too.
  page.on("console", (line) => {
    if (/Content Security Policy|Refused to/.test(line.text())) page.faults.push(line.text());
  });
  await page.goto(`${url}/#/${path}`);
  return page;
}

export const live = (page) => page.waitForSelector('html[data-live="live"]');
export const close = (page) => page.context().close();

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What keeps somebody from using the page as it is. */
export async function barriers(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = found.violations.filter((one) => one.impact === "serious" || one.impact === "critical");
  return serious.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3)}`);
}

/** Waits until `what` answers something true. */
export async function until(what, within = PATIENCE, every = 50) {
  const end = Date.now() + within;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((done) => setTimeout(done, every));
  }
}
