// The dashboard in a real browser, over a real server with real links and sessions.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { barriers, BINARY, browser, close, config, live, Server, Service, until, visit as see } from "./world.mjs";
import { shoot } from "./screens.mjs";

const PAGES = ["", "links", "links/payments", "sessions", "operations", "operations/payments", "alerts", "alerts/history", "alerts/rules", "alerts/receivers", "alerts/dead-letters", "settings"];
const SLO = '[[slo]]\nname = "checkout"\nsignal = "link.checks"\nof = "pay*"\nobjective = 0.999\n[[slo]]\nname = "search"\nsignal = "link.checks"\nof = "cata*"\nobjective = 0.95\n';
const MANY = 20_000;
const KEY = "msk_a-key-of-nobody-in-particular-000000000000";

let web, payments, catalogue, server, load;

before(async () => {
  [web, payments, catalogue] = await Promise.all([browser(), Service.start(), Service.start()]);
  server = await Server.start(config({ payments: payments.port, catalogue: catalogue.port }, `${SLO}[sessions]\nmessages = "echo"`));
  // Clients with connections of their own, for as long as the tests go on.
  const socket = `${server.url.replace("http", "ws")}/v1/connect`;
  load = spawn(BINARY, ["load", socket, "--connections", "10", "--messages", "2", "--for", "10m", "--flaky", "0.2"], { stdio: "ignore" });
});

after(async () => {
  load?.kill("SIGKILL");
  await Promise.allSettled([web?.close(), server?.stop(), payments?.stop(), catalogue?.stop()]);
});

const visit = (url, options) => see(web, url, options);
const deltas = (page) => page.evaluate(() => Number(document.documentElement.dataset.deltas ?? 0));

test("each page shows what there is, asks no other origin, and can be used by everybody", async () => {
  const page = await visit(server.url);
  await live(page);
  await page.getByText("10 connected").first().waitFor();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    for (const path of PAGES) {
      await page.goto(`${server.url}/#/${path}`);
      await page.waitForSelector("main section.panel, main .alerts");
      await page.waitForTimeout(150);
      assert.deepEqual(await barriers(page), [], `${path} ${theme}`);
    }
  }
  await page.goto(`${server.url}/#/links`);
  await page.getByRole("link", { name: "payments" }).waitFor();
  await page.goto(`${server.url}/#/settings`);
  await page.getByText("server.shutdown_deadline").waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("an outage is on the page, and its end", async () => {
  const page = await visit(server.url, { path: "links/catalogue" });
  await page.locator(".chip", { hasText: /^● connected$/ }).first().waitFor();
  const port = catalogue.port;
  await catalogue.stop();
  const began = Date.now();
  await page.locator(".panel .chip", { hasText: /reconnecting|suspended/ }).first().waitFor();
  console.log(`an outage was on the page after ${Date.now() - began} ms, of which up to 500 ms are until the next check`);
  catalogue = await Service.start(port);
  const back = Date.now();
  await page.locator(".panel .chip", { hasText: /^● connected$/ }).first().waitFor({ timeout: 60_000 });
  console.log(`its end was on the page after ${Date.now() - back} ms`);
  await close(page);
});

test("an action asks once, is done, and says what the server refuses", async () => {
  const page = await visit(server.url, { path: "links/payments" });
  await page.getByRole("button", { name: "Force open" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Force open" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Force open" }).click();
  await until(async () => (await server.ask("GET", "/api/v1/gates/payments")).body.breaker.state !== "CLOSED");
  await page.getByRole("button", { name: "Reset" }).last().click();
  await page.getByRole("dialog").getByRole("button", { name: "Reset" }).click();
  await until(async () => (await server.ask("GET", "/api/v1/gates/payments")).body.breaker.state === "CLOSED");
  await page.route("**/api/v1/links/payments/check", (route) =>
    route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify({ code: "CONFLICT", detail: "it is not as it must be" }) }),
  );
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Check now" }).click();
  await page.getByRole("alert").filter({ hasText: "it is not as it must be" }).waitFor();
  await page.keyboard.press("Escape");
  await close(page);
});

test("an alert is acknowledged and silenced, and that survives a reload", async () => {
  const page = await visit(server.url);
  assert.equal((await server.ask("POST", "/api/v1/gates/payments/force_open")).status, 200);
  const card = page.locator("[data-alert]").filter({ hasText: "CIRCUIT_OPEN" });
  await card.waitFor();
  await card.getByRole("button", { name: "Acknowledge" }).click();
  await page.getByRole("dialog").getByLabel("Note").fill("on it");
  await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await card.getByText(/acknowledged by .*: on it/).waitFor();
  await card.getByRole("button", { name: "Silence until resolved" }).click();
  // Why must be said.
  await page.getByRole("dialog").getByRole("button", { name: "Silence until resolved" }).click();
  await page.getByRole("dialog").getByLabel("Reason").fill("planned");
  await page.getByRole("dialog").getByRole("button", { name: "Silence until resolved" }).click();
  await card.getByText(/silenced by/).waitFor();
  await page.reload();
  await card.getByText(/acknowledged by .*: on it.*silenced by .* until it is resolved/).waitFor();
  await card.getByRole("button", { name: "Take back" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take back" }).click();
  await card.getByRole("button", { name: "Acknowledge" }).waitFor();
  // It is in the history, and over with its cause.
  await page.goto(`${server.url}/#/alerts/history`);
  await page.getByRole("cell", { name: "acknowledged", exact: true }).first().waitFor();
  assert.equal((await server.ask("POST", "/api/v1/gates/payments/reset")).status, 200);
  await close(page);
});

test("the timeline is drawn from what the monitor kept", async () => {
  const page = await visit(server.url, { path: "?group=links&span=900000" });
  await page.locator(".chart canvas").first().waitFor();
  assert.equal(await page.locator(".chart canvas").count(), 3);
  assert.equal(await page.locator("main select").first().inputValue(), "links");
  await page.locator("main select").nth(1).selectOption("86400000");
  await until(async () => page.url().includes("span=86400000"));
  await page.locator(".chart").first().waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("keys lead around, and filters stand in the address", async () => {
  const page = await visit(server.url);
  await live(page);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("l");
  await page.getByRole("link", { name: "payments" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("cata");
  await until(async () => page.url().endsWith("#/links?q=cata"));
  await until(async () => (await page.locator("[data-row]").count()) === 1);
  await page.reload();
  await page.getByRole("link", { name: "catalogue" }).waitFor();
  assert.equal(await page.locator("[data-row]").count(), 1);
  await page.keyboard.press("Tab");
  await page.keyboard.press("t");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await close(page);
});

/** A server that stopped in the middle, as one does whose machine hangs: its connections are all there. */
let frozen;

test("a server can stop without a word", async () => {
  const quiet = await Server.start(config({}));
  const page = await visit(quiet.url);
  await live(page);
  quiet.child.kill("SIGSTOP");
  frozen = { quiet, page };
});

test("of twenty thousand sessions only those that are seen are in the page, and changes come together", async () => {
  const crowd = await Server.start(config({}));
  const began = Date.now();
  const ids = await crowd.sessions(MANY);
  console.log(`${MANY} sessions were there after ${Date.now() - began} ms`);
  const page = await visit(crowd.url, { path: "sessions" });
  await page.locator("[data-row]").first().waitFor();
  const rows = () => page.locator("[data-row]").count();
  assert.ok((await rows()) <= 60, `${await rows()} rows`);
  // To the end of the list, page by page.
  await until(async () => {
    const box = page.locator(".list .scroll");
    await box.evaluate((element) => element.scrollTo(0, element.scrollHeight));
    const said = await page.locator(".panel > header .quiet").innerText();
    return !said.includes("loaded") && said.includes("20,000");
  }, 60_000);
  assert.ok((await rows()) <= 60, `${await rows()} rows at the end`);
  const all = await page.evaluate(() => document.querySelectorAll("*").length);
  assert.ok(all < 2000, `${all} elements`);
  await page.goto(`${crowd.url}/#/sessions?user=user-00007`);
  await until(async () => (await rows()) === 1);

  // 2 000 changes a second to sessions that are shown.
  await page.goto(`${crowd.url}/#/`);
  await live(page);
  const shown = Object.keys(await topics(crowd, "worst"));
  assert.equal(shown.length, 50);
  const [from, start] = [await deltas(page), Date.now()];
  let changes = 0;
  while (Date.now() - start < 3000) {
    const beats = shown.map((session, n) => ({ session, rtt_ms: 1 + ((changes + n * 7) % 180) }));
    const { status } = await crowd.ask("POST", "/api/v1/heartbeats", { beats });
    assert.equal(status, 200);
    changes += beats.length;
    await new Promise((done) => setTimeout(done, Math.max(0, (changes / 2000) * 1000 - (Date.now() - start))));
  }
  const [took, came] = [Date.now() - start, (await deltas(page)) - from];
  console.log(`${changes} changes in ${took} ms came as ${came} deltas`);
  assert.ok(came >= 2 && came <= Math.ceil((Date.now() - start) / 250) + 2, `${came} deltas in ${took} ms`);
  assert.equal(ids.length, MANY);
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  if (process.env.UPDATE_SCREENSHOTS) await shoot(web, crowd.url, "20000");
  await close(page);
  await crowd.kill();
});

/** The rows of a topic, from the first snapshot. */
async function topics(of, name) {
  const answer = await fetch(`${of.url}/api/v1/monitor/live`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value } = await reader.read();
    text += value;
    const data = /^data: ?(.*)\n\n/m.exec(text);
    if (data) {
      await reader.cancel();
      return JSON.parse(data[1]).topics[name];
    }
  }
}

test("a stream on which nothing comes when something is due is not believed", async () => {
  const { quiet, page } = frozen;
  // A word is due every 15 s, and 5 s more are waited.
  await page.locator(".banner").filter({ hasText: "out of date" }).waitFor({ timeout: 60_000 });
  assert.equal(await page.locator(".shell.stale").count(), 1);
  quiet.child.kill("SIGCONT");
  await live(page);
  await until(async () => (await page.locator(".shell.stale").count()) === 0);
  await close(page);
  await quiet.kill();
});

test("a page whose server is gone says so, greys out, and is live again when it is back", async () => {
  const first = await Server.start(config({}));
  const page = await visit(first.url);
  await live(page);
  const { port } = first;
  await first.kill();
  await page.getByRole("alert").filter({ hasText: "out of date" }).waitFor();
  assert.equal(await page.locator(".shell.stale").count(), 1);
  assert.match(await page.locator("#freshness").innerText(), /reconnecting since \d\d:\d\d:\d\d/);
  const second = await Server.start(config({}), { port });
  await live(page);
  await until(async () => (await page.locator(".shell.stale").count()) === 0);
  await close(page);
  await second.stop();
});

test("where credentials are asked for, the page asks for them and keeps them in the tab", async () => {
  const hash = (await new Promise((done, failed) => execFile(BINARY, ["key", "hash"], { encoding: "utf8" }, (error, out) => (error ? failed(error) : done(out))).stdin.end(`${KEY}\n`))).trim();
  const guarded = await Server.start(config({}, `[[auth.key]]\nname = "kim"\nrole = "operator"\nhash = "${hash.split(/\s/).at(-1)}"`));
  const page = await visit(guarded.url);
  await page.getByLabel("API key or token").fill("msk_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText(/Authorization|does not hold|wrong/).first().waitFor();
  await page.getByLabel("API key or token").fill(KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await live(page);
  await page.reload();
  await live(page);
  assert.equal(await page.evaluate(() => localStorage.length), 0, "it is kept in the tab alone");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key or token").waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
  await guarded.stop();
});

test("the status page tells names alone, without a script", async () => {
  const page = await visit(server.url, { javaScriptEnabled: false });
  await page.goto(`${server.url}/status`);
  const text = await page.locator("main").innerText();
  assert.match(text, /payments/);
  assert.doesNotMatch(await page.content(), /127\.0\.0\.1|<script/);
  await close(page);
});

test("pages fit every width", async () => {
  for (const width of [360, 768, 1440]) {
    const page = await visit(server.url, { viewport: { width, height: 900 } });
    await live(page);
    for (const path of PAGES) {
      await page.goto(`${server.url}/#/${path}`);
      await page.waitForSelector("main section.panel, main .alerts");
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${path}: ${wide} of ${width} px`);
    }
    await close(page);
  }
  if (process.env.UPDATE_SCREENSHOTS) {
    const { sessions } = (await server.ask("GET", "/api/v1/sessions?status=CONNECTED&limit=1")).body;
    await shoot(web, server.url, "10", sessions[0].session);
    const empty = await Server.start(config({}));
    await shoot(web, empty.url, "0");
    await empty.stop();
  }
});
