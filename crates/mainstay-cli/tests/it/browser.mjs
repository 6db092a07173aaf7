// Drives the page of examples/browser in a headless Chromium whose network goes away and comes back.
// Orders come from standard input, a line each: first the folder of the examples, then the server.
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = async () => (await lines.next()).value;
const folder = await order();
const types = { '.html': 'text/html', '.mjs': 'text/javascript' };
const pages = createServer((request, response) => {
  const path = join(folder, normalize(new URL(request.url, 'http://x').pathname));
  const type = types[path.slice(path.lastIndexOf('.'))];
  if (!type) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': type });
  createReadStream(path).pipe(response);
});
await new Promise((done) => pages.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${pages.address().port}`;
console.log(`origin ${origin}`);
const server = await order();

const args = ['--no-sandbox', '--disable-dev-shm-usage'];
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args });
const context = await browser.newContext();
const page = await context.newPage();
page.on('pageerror', (error) => console.log(`page error ${error}`));
const state = (wanted) => page.waitForFunction(
  (wanted) => document.getElementById('state').textContent === wanted, wanted);
const say = async (from, to) => {
  for (let number = from; number <= to; number += 1) {
    await page.fill('#text', `message ${number}`);
    await page.click('button');
  }
};
const shown = () => page.$$eval('#messages li', (items) => items.map((item) => item.textContent));

await page.goto(`${origin}/browser/index.html?url=${encodeURIComponent(server)}`);
await state('connected');
await say(1, 10);
await context.setOffline(true);
console.log('offline'); // whoever reads this cuts the connection
await order();
await state('lost');
await say(11, 20);
console.log(`while offline ${await page.textContent('#unacknowledged')}`);
await context.setOffline(false);
await state('resumed');
await say(21, 30);
await page.waitForFunction(() => document.querySelectorAll('#messages li').length >= 30);
await page.waitForFunction(() => globalThis.session.unacknowledged === 0);
const connections = await page.evaluate(() => globalThis.session.connections);
const unknown = await page.evaluate(() => globalThis.session.unknown.length);
console.log(`result ${JSON.stringify({ shown: await shown(), connections, unknown })}`);
await page.evaluate(() => globalThis.session.end());
await browser.close();
process.exit(0); // standard input is still open
