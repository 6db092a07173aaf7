// What people do on the pages, and what a server with everything shows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, browser, close, config, Hook, live, Server, Service, until, visit as see } from "./world.mjs";

const SECRET = { HOOK: `whsec_${Buffer.from("twenty-four bytes or more").toString("base64")}` };
const receiver = (name, url) => `[[receiver]]\nname = "${name}"\nkind = "webhook"\nurl = "${url}"\nsecret_env = "HOOK"\n`;

let web, payments, catalogue, ops, deaf, server;
const visit = (path, options) => see(web, server.url, { path, ...options });

before(async () => {
  [web, payments, catalogue, ops, deaf] = await Promise.all([browser(), Service.start(), Service.start(), Hook.start(), Hook.start()]);
  deaf.status = 404;
  const slo = '[[slo]]\nname = "checkout"\nsignal = "link.checks"\nof = "cata*"\nobjective = 0.999\n';
  const notify = '[notify]\ngroup_wait = "0s"\ngroup_wait_critical = "0s"\ngroup_interval = "1s"\n';
  const more = `${slo}${notify}${receiver("ops", ops.url)}${receiver("deaf", deaf.url)}[chittyid.authority]\nlocation = "BER"\n`;
  server = await Server.start(config({ payments: payments.port, catalogue: catalogue.port }, more, "redb"), { environment: SECRET });
});

after(async () => {
  await Promise.allSettled([web?.close(), server?.stop(), payments?.stop(), catalogue?.stop(), ops?.stop(), deaf?.stop()]);
});

/** Says yes to what is asked. */
async function agree(page, verb) {
  await page.getByRole("dialog").getByRole("button", { name: verb, exact: true }).click();
}

/** How often somebody did that, as the audit log has it. */
async function audited(action) {
  const { body } = await server.ask("GET", "/api/v1/audit?limit=1000");
  return body.actions.filter((one) => one.action === action && one.status < 300).length;
}

const beat = (session) => server.ask("POST", "/api/v1/heartbeats", { beats: [{ session, rtt_ms: 20 }] });

test("ids that are minted are counted on the page of ChittyID", async () => {
  const page = await visit("chittyid");
  await page.getByText("No id was given since the server's start.").waitFor();
  for (let n = 0; n < 3; n += 1) assert.equal((await server.ask("POST", "/v1/mint", { entity: "PEO" })).status, 200);
  const row = page.locator("[data-row]").filter({ hasText: "BER" });
  await row.getByRole("cell", { name: "3", exact: true }).waitFor();
  assert.equal((await server.ask("POST", "/v1/mint", { entity: "PEO" })).status, 200);
  await row.getByRole("cell", { name: "4", exact: true }).waitFor();
  await row.getByText("enough").waitFor();
  await page.locator(".chip", { hasText: /^● healthy$/ }).waitFor();
  await page.getByRole("link", { name: "ChittyID" }).waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("an authority that is not well is shown as that, and what cannot be asked is not called nothing", async () => {
  const { body } = await server.ask("GET", "/v1/health");
  const page = await visit("");
  await page.route("**/v1/health", (route) => route.fulfill({ status: 503, json: { ...body, status: "unhealthy" } }));
  await page.route("**/v1/sequences", (route) => route.fulfill({ status: 500, json: { detail: "the store is gone" } }));
  await page.evaluate(() => { location.hash = "#/chittyid"; });
  await page.locator(".chip", { hasText: /^■ unhealthy$/ }).waitFor();
  await page.getByText("the store is gone").waitFor();
  assert.equal(await page.getByText("No id was given").count(), 0);
  await page.route("**/v1/health", (route) => route.abort());
  await page.locator("main").getByText("The server cannot be reached.").waitFor();
  assert.equal(await page.getByText("This server mints no ids.").count(), 0);
  await close(page);
});

test("a session that is disconnected is asked about once, its client is told, and it is in the audit log", async () => {
  const client = await visit("");
  const session = await client.evaluate(
    () =>
      new Promise((done, failed) => {
        const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/connect`, "mainstay.v1");
        window.ended = new Promise((gone) => socket.addEventListener("close", (event) => gone(event.code)));
        socket.addEventListener("error", () => failed(new Error("no connection")));
        socket.addEventListener("open", () => socket.send(JSON.stringify({ t: "hello", v: 1, client: { type: "web", version: "1" } })));
        socket.addEventListener("message", (event) => {
          const frame = JSON.parse(event.data);
          if (frame.t === "welcome") done(frame.session);
        });
      }),
  );
  const page = await visit(`sessions/${session}`);
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await server.ask("GET", `/api/v1/sessions/${session}`)).body.status, "CONNECTED", "nothing is done before somebody says yes");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await agree(page, "Disconnect");
  await page.locator(".panel .chip", { hasText: "disconnected" }).first().waitFor();
  assert.equal(await client.evaluate(() => window.ended), 4202);
  assert.equal((await server.ask("GET", `/api/v1/sessions/${session}`)).body.status, "DISCONNECTED");
  assert.equal(await audited("sessions.disconnect"), 1);
  await page.getByRole("cell", { name: "gone" }).waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
  await close(client);
});

test("a session says how silent it is, and when it is suspected and given up", async () => {
  const [session] = await server.sessions(1);
  assert.equal((await beat(session)).status, 200);
  const page = await visit(`sessions/${session}`);
  const panel = page.getByRole("region", { name: "If nothing is heard" });
  const fact = async (name) => (await panel.locator("dl > div").filter({ has: page.locator("dt", { hasText: name }) }).locator("dd").innerText()).replace(/\s+/g, " ").trim();
  await panel.waitFor();
  assert.match(await fact("Surprise (phi)"), /^\d\.\d\d suspected at \d\.\d\d, given up at \d\.\d\d$/);
  assert.match(await fact("Given up"), /^\d\d:\d\d:\d\d \(in [\d a-z]+\)$/);
  assert.equal(await fact("Asked again"), "no: it beats by itself");
  const phi = async () => Number.parseFloat(await fact("Surprise (phi)"));
  await until(async () => (await phi()) >= 0.08);
  const [rose, due] = [await phi(), await fact("Suspected")];
  assert.match(due, /^\d\d:\d\d:\d\d \(in [\d a-z]+\)$/);
  // A beat puts it off.
  await until(async () => {
    assert.equal((await beat(session)).status, 200);
    return (await phi()) < rose;
  });
  await until(async () => (await fact("Suspected")).slice(0, 8) !== due.slice(0, 8));
  await page.locator("details.raw summary").click();
  await page.getByText(`curl -s ${server.url}/api/v1/sessions/${session}`).waitFor();
  await page.locator("details.raw pre", { hasText: '"phi_suspect"' }).waitFor();
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("rows of the list that are in view are live, and nothing jumps", async () => {
  const ids = await server.sessions(120);
  const page = await visit("sessions");
  const box = page.locator(".list .scroll");
  await page.locator("[data-row]").first().waitFor();
  await box.evaluate((element) => element.scrollTo(0, 34 * 60));
  const asked = [];
  page.on("request", (one) => {
    const found = /\/api\/v1\/sessions\?(.*)/.exec(one.url());
    if (found) asked.push(found[1]);
  });
  const middle = async () => {
    const top = await box.evaluate((element) => element.getBoundingClientRect().top);
    const shown = await page.locator("[data-row]").evaluateAll((rows, from) => rows.filter((row) => row.getBoundingClientRect().top > from + 100).map((row) => row.dataset.row), top);
    return shown.find((id) => ids.includes(id));
  };
  const session = await until(async () => ((await box.evaluate((element) => element.scrollTop)) > 1900 ? middle() : null));
  const row = page.locator(`[data-row="${session}"]`);
  await row.getByText("connected").waitFor();
  const before = await row.boundingBox();
  // The 50 that the stream tells of are the worst: some are suspended before it, so that it is none of them.
  const first = ids.filter((id) => id !== session).slice(0, 60);
  for (const id of first) assert.equal((await server.ask("POST", `/api/v1/sessions/${id}/suspend`, {})).status, 200);
  assert.equal((await server.ask("POST", `/api/v1/sessions/${session}/disconnect`, {})).status, 200);
  await row.getByText("disconnected").waitFor();
  assert.deepEqual(await row.boundingBox(), before, "it stays where it is");
  assert.ok((await page.locator("[data-row]").count()) <= 60);
  assert.ok(asked.length > 0 && asked.every((query) => query.startsWith("ids=") && query.split(",").length <= 60), `${asked}`);
  // A page that nobody sees asks nobody.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true });
    window.rounds = 0;
    const set = window.setTimeout;
    window.setTimeout = (act, ms, ...rest) => set(() => { if (ms === 2000) window.rounds += 1; act(); }, ms, ...rest);
  });
  await until(async () => (await page.evaluate(() => window.rounds)) >= 1);
  const so_far = asked.length;
  await until(async () => (await page.evaluate(() => window.rounds)) >= 3);
  assert.equal(asked.length, so_far, "rounds went by, and nothing was asked");
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("a link shows what it goes by, is checked at once, and its breaker is forced open and closed", async () => {
  const page = await visit("links/payments");
  const policy = page.getByRole("region", { name: "What it goes by" });
  await policy.getByText("reconnect backoff base").waitFor();
  await policy.getByText("breaker consecutive failures").waitFor();
  await policy.locator("dl > div").filter({ hasText: "health interval" }).getByText("500ms").waitFor();

  await page.getByRole("button", { name: "Check now" }).click();
  await agree(page, "Check now");
  await page.getByRole("status").getByText(/Check now: (it is well|the check failed)/).waitFor();
  assert.equal(await audited("links.check"), 1);

  const state = async () => (await server.ask("GET", "/api/v1/gates/payments")).body.breaker.state;
  const gate = page.getByRole("region", { name: "Gate payments" });
  for (const [button, wanted, shown] of [["Force open", "FORCED_OPEN", /forced open/], ["Force closed", "DISABLED", /disabled: all pass/], ["Enable", "CLOSED", /closed/]]) {
    await gate.getByRole("button", { name: button, exact: true }).click();
    await agree(page, button);
    await gate.locator(".chip", { hasText: shown }).waitFor();
    assert.equal((await state()).toUpperCase().replaceAll("-", "_"), wanted);
  }
  assert.deepEqual([await audited("gates.force_open"), await audited("gates.disable"), await audited("gates.enable")], [1, 1, 1]);
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("a receiver is told that this is a test, and what one refused is listed, told again and forgotten", async () => {
  const page = await visit("alerts/receivers");
  const card = (name) => page.locator(".card").filter({ has: page.locator("strong", { hasText: name }) });
  const tests = () => ops.got.filter(({ body }) => JSON.stringify(body).includes("test")).length;
  assert.equal(tests(), 0);
  await card("ops").getByRole("button", { name: "Send a test" }).click();
  await agree(page, "Send a test");
  await page.getByRole("status").getByText("ops: delivered").waitFor();
  assert.equal(tests(), 1);
  assert.match(ops.got.at(-1).headers["webhook-signature"], /^v1,/);
  await card("deaf").getByRole("button", { name: "Send a test" }).click();
  await agree(page, "Send a test");
  await page.getByRole("status").getByText("deaf: not delivered, it answered 404").waitFor();

  // Something is the matter: both are told, one of them refuses.
  assert.equal((await server.ask("POST", "/api/v1/gates/payments/force_open")).status, 200);
  await page.goto(`${server.url}/#/alerts/dead-letters`);
  const dead = card("deaf").filter({ hasText: "CIRCUIT_OPEN" });
  await dead.first().waitFor();
  await dead.first().getByText("it answered 404").waitFor();
  const letters = async () => (await server.ask("GET", "/api/v1/notifications/dead-letters")).body.dead_letters;
  deaf.status = 200;
  const before = (await letters()).length;
  const told = deaf.got.length;
  await dead.first().getByRole("button", { name: "Try again" }).click();
  await agree(page, "Try again");
  await page.getByRole("status").getByText("Done: Send it again").waitFor();
  await until(async () => (await letters()).length < before && deaf.got.length > told);
  assert.equal(deaf.got.at(-1).headers["webhook-id"], deaf.got.find(({ body }) => JSON.stringify(body).includes("CIRCUIT_OPEN")).headers["webhook-id"], "the same notice");
  assert.equal(await audited("notifications.dead-letters.retry"), 1);

  deaf.status = 404;
  assert.equal((await server.ask("POST", "/api/v1/gates/payments/reset")).status, 200);
  const over = page.locator(".card").filter({ has: page.locator("strong", { hasText: "deaf" }) });
  await over.first().waitFor({ timeout: 60_000 });
  const rest = (await letters()).length;
  await over.first().getByRole("button", { name: "Forget" }).click();
  await agree(page, "Forget");
  await until(async () => (await letters()).length === rest - 1);
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("what is left of an error budget is told in words, and that it burns", async () => {
  const page = await visit("");
  await live(page);
  const card = page.locator('[data-slo="checkout"]');
  await card.getByText("99.9 % of link.checks cata*").waitFor();
  // On a machine that has other things to do a check may have failed by itself.
  await card.locator(".chip", { hasText: /left$|^. burns: |used up$/ }).waitFor();
  await card.getByText(/: \d+ of \d+ failed, \d+ may\. [\d.]+ % went well since /).waitFor();
  await card.getByText("1 h and 5 min, up to 14.4×").waitFor();
  catalogue.well = false;
  const burns = card.locator("a .chip", { hasText: "burns: " });
  await burns.waitFor({ timeout: 60_000 });
  await card.getByText("budget is used up").waitFor({ timeout: 60_000 });
  await card.getByText("▲").first().waitFor();
  await burns.click();
  await page.locator("[data-alert]").filter({ hasText: "SLO_BURN" }).waitFor();
  catalogue.well = true;
  assert.deepEqual([page.foreign, page.faults], [[], []]);
  await close(page);
});

test("what only some servers have can be used by everybody, at every width", async () => {
  const [session] = await server.sessions(1);
  for (const width of [360, 1440]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await visit("chittyid", { viewport: { width, height: 900 }, colorScheme });
      for (const [path, there] of [["chittyid", "Sequences in use"], [`sessions/${session}`, "Surprise (phi)"], ["links/payments", "reconnect backoff base"], ["", "checkout"], ["alerts/receivers", "Send a test"]]) {
        await page.goto(`${server.url}/#/${path}`);
        await page.getByText(there).first().waitFor();
        assert.deepEqual(await barriers(page), [], `${path} ${width} ${colorScheme}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${path}: ${wide} of ${width} px`);
      }
      await close(page);
    }
  }
});
