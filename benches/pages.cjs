// What pages cost: node pages.cjs URL USERNAME PASSWORD ROUNDS; prints lines of "WHAT<tab>ASKED<tab>MEASURED". What only a browser
// can tell is left out without playwright-core.
const http = require('node:http');

const [url, username, password, rounds] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
let cookie = '';

const ask = (path, form) => new Promise((resolve, reject) => {
  const begin = process.hrtime.bigint();
  const headers = { 'accept-encoding': 'gzip', cookie, origin: url, 'sec-fetch-site': 'same-origin' };
  if (form) headers['content-type'] = 'application/x-www-form-urlencoded';
  const request = http.request(new URL(path, url), { agent, method: form ? 'POST' : 'GET', headers }, (response) => {
    let bytes = 0;
    response.on('data', (part) => { bytes += part.length; });
    response.on('end', () => {
      const milliseconds = Number(process.hrtime.bigint() - begin) / 1e6;
      resolve({ status: response.statusCode, headers: response.headers, bytes, milliseconds });
    });
  });
  request.on('error', reject);
  request.end(form && new URLSearchParams(form).toString());
});

const sorted = (numbers) => numbers.toSorted((one, other) => one - other);
const median = (numbers) => sorted(numbers)[Math.floor((numbers.length - 1) / 2)];
const slowest = (numbers) => sorted(numbers)[Math.ceil(numbers.length * 0.99) - 1];
const row = (...cells) => console.log(cells.join('\t'));
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

async function time(path, rounds) {
  const taken = [];
  for (let round = 0; round < rounds; round += 1) {
    const { status, milliseconds } = await ask(path);
    if (status !== 200) throw new Error(`${path} was answered with ${status}`);
    taken.push(milliseconds);
  }
  row(`\`GET ${path}\``, 'median 10 ms, p99 30 ms', `${median(taken).toFixed(1)} ms, p99 of ${rounds} ${slowest(taken).toFixed(1)} ms`);
}

// What a browser knows of the page that it has just loaded
const look = (page) => page.evaluate(() => new Promise((resolve) => {
  let shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => { shift += value; })).observe({ type: 'layout-shift', buffered: true });
  const [{ encodedBodySize: bytes }] = performance.getEntriesByType('navigation');
  new PerformanceObserver((list) => {
    const first = list.getEntriesByName('first-contentful-paint')[0];
    if (first) setTimeout(() => resolve({ shift, bytes, paint: first.startTime }), 100);
  }).observe({ type: 'paint', buffered: true });
}));

async function paint() {
  const { chromium } = require('playwright-core');
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const context = await browser.newContext({ baseURL: url });
  const page = await context.newPage();
  await page.goto('/login/');
  const files = await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/')).map(({ encodedBodySize }) => encodedBodySize));
  const assets = files.reduce((sum, size) => sum + size, 0);
  const first = await look(page);
  row('The first visit: HTML, stylesheet, scripts and icon', 'at most 30 kB', kilobytes(first.bytes + assets));
  await page.getByLabel('Username or email').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/account/');
  for (const path of ['/login/', '/account/', '/account/delete/']) {
    const visitor = path === '/login/' ? await (await browser.newContext({ baseURL: url })).newPage() : page;
    const [paints, shifts] = [[], []];
    let bytes = 0;
    for (let round = 0; round < 12; round += 1) {
      await visitor.goto(path);
      const seen = await look(visitor);
      bytes = seen.bytes;
      shifts.push(seen.shift);
      if (round > 1) paints.push(seen.paint);
    }
    row(`\`${path}\` in Chromium: compressed, layout shift, first contentful paint`, 'at most 10 kB, 0, under 200 ms',
      `${kilobytes(bytes)}, ${Math.max(...shifts)}, ${median(paints).toFixed(0)} ms`);
  }
  await browser.close();
}

async function main() {
  await time('/login/', rounds);
  const { status, headers } = await ask('/login/', { username, password, next: '/account/' });
  if (status !== 303) throw new Error(`the log-in was answered with ${status}`);
  cookie = headers['set-cookie'][0].split(';')[0];
  await time('/account/', rounds);
  // Each deletes the account, and takes that back.
  await time('/account/delete/', Math.ceil(rounds / 10));
  let hasBrowser = true;
  try { require('playwright-core'); } catch { hasBrowser = false; }
  if (hasBrowser) await paint();
  process.exit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
