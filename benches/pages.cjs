// What pages cost: node pages.cjs URL PROGRAM DATABASE ROUNDS REVISIONS; prints lines of "WHAT<tab>ASKED<tab>MEASURED". What only a browser
// can tell is left out without playwright-core.
const { spawn } = require('node:child_process');
const http = require('node:http');
const zlib = require('node:zlib');

const [url, program, database] = process.argv.slice(2);
const [rounds, revisions] = process.argv.slice(5).map(Number);
const PASSWORD = 'correct horse battery';
const QUICK = 'median 10 ms, p99 30 ms';
const agent = new http.Agent({ keepAlive: true });

// Somebody who asks as a browser does
class Client {
  cookie = '';

  ask(path, form, more = {}) {
    return new Promise((resolve, reject) => {
      const begin = process.hrtime.bigint();
      const headers = { 'accept-encoding': 'gzip', cookie: this.cookie, origin: url, 'sec-fetch-site': 'same-origin', ...more.headers };
      if (form) headers['content-type'] = 'application/x-www-form-urlencoded';
      const request = http.request(new URL(path, url), { agent, method: more.method ?? (form ? 'POST' : 'GET'), headers }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => {
          const milliseconds = Number(process.hrtime.bigint() - begin) / 1e6;
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts), milliseconds });
        });
      });
      request.on('error', reject);
      request.end(more.body ?? (form && new URLSearchParams(form).toString()));
    });
  }

  async logIn(username) {
    const { status, headers } = await this.ask('/login/', { username, password: PASSWORD, next: '/account/' });
    if (status !== 303) throw new Error(`the log-in was answered with ${status}`);
    this.cookie = headers['set-cookie'][0].split(';')[0];
    return this;
  }

  // How long a page takes, again and again
  async time(path, { name = path, note = '', most = QUICK, times = rounds } = {}) {
    const taken = [];
    let bytes = 0;
    for (let round = 0; round < times; round += 1) {
      const { status, milliseconds, body } = await this.ask(path);
      if (status !== 200) throw new Error(`${path} was answered with ${status}`);
      taken.push(milliseconds);
      bytes = body.length;
    }
    const sizes = `, ${kilobytes(bytes)} compressed`;
    row(`\`GET ${name}\`${note}`, most, `${median(taken).toFixed(1)} ms, p99 of ${times} ${slowest(taken, 0.99).toFixed(1)} ms${sizes}`);
  }
}

const sorted = (numbers) => numbers.toSorted((one, other) => one - other);
const median = (numbers) => sorted(numbers)[Math.floor((numbers.length - 1) / 2)];
const slowest = (numbers, part) => sorted(numbers)[Math.ceil(numbers.length * part) - 1];
const row = (...cells) => console.log(cells.join('\t'));
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;

// Runs a command beside the server; returns what it printed.
const run = (...args) => new Promise((resolve, reject) => {
  const child = spawn(program, [...args, '--db', database], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (part) => { printed += part; });
  child.on('error', reject);
  child.on('exit', (code) => (code === 0 ? resolve(printed) : reject(new Error(`${args.join(' ')} ended with ${code}`))));
});

// 64 KB in words, which differ a little from one number to the next
const text = (number) => Array.from({ length: 8192 }, (_, at) => `word${(at % 997 === number % 997 ? number : at).toString(36).padStart(3, '0')}`).join(' ').slice(0, 65_000);

// A message with so many revisions, over REST
async function revise() {
  const client = new Client();
  const api = async (method, path, body, token) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
    const answer = await client.ask(path, null, { method, headers, body: JSON.stringify(body) });
    if (answer.status >= 300) throw new Error(`${method} ${path} was answered with ${answer.status}`);
    return JSON.parse(answer.headers['content-encoding'] === 'gzip' ? zlib.gunzipSync(answer.body) : answer.body);
  };
  const { access } = await api('POST', '/api/token/', { username: 'person1002', password: PASSWORD });
  const { conversation_id: place } = await api('POST', '/api/conversations/', { participants: ['person1003'], name: 'revised' }, access);
  const { message_id: message } = await api('POST', `/api/conversations/${place}/messages/`, { content: text(0) }, access);
  for (let number = 1; number < revisions; number += 1) await api('PATCH', `/api/messages/${message}/`, { content: text(number) }, access);
  return { message, place };
}

const id = async (...args) => (await run(...args, '-o', 'ids')).trim().split('\n')[0];

async function administration(admin, person) {
  const room = await id('conversation', 'show', 'room1');
  for (const path of ['/admin/', '/admin/users/', '/admin/conversations/', '/admin/search/?q=harbour', '/admin/events/', '/admin/health/']) {
    await admin.time(path);
  }
  await admin.time('/admin/users/?search=person9');
  await admin.time('/admin/users/?search=erson9', { note: ', with which no username begins, so that 90,000 users are looked at' });
  await admin.time('/admin/events/?kind=user.deleted', { note: ' of none among 10,000 events' });
  await admin.time(`/admin/users/${person}/`, { name: '/admin/users/{id}/' });
  const other = await id('user', 'show', 'person5');
  for (const [who, note] of [[other, ' of who wrote 1 in 500 messages'], [person, ' of who wrote 1 in 100']]) {
    await admin.time(`/admin/users/${who}/delete/`, { name: '/admin/users/{id}/delete/', note, times: Math.ceil(rounds / 10) });
  }
  await admin.time(`/admin/conversations/${room}/`, { name: '/admin/conversations/{id}/' });
  await admin.time(`/admin/conversations/${room}/?at=1000`, { name: '/admin/conversations/{id}/?at=1000' });
  const { message } = await revise();
  await admin.time(`/admin/messages/${message}/history/`, { name: '/admin/messages/{id}/history/', note: ` of ${revisions} revisions of 64 KB`, most: 'at most 50 ms', times: Math.ceil(rounds / 4) });
  return { message, room };
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

// A page where somebody is logged in
async function enter(browser, username) {
  const page = await (await browser.newContext({ baseURL: url })).newPage();
  await page.goto('/login/');
  await page.getByLabel('Username or email').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL((address) => !address.pathname.startsWith('/login/'));
  return page;
}

async function paint(browser, { room, person }) {
  const first = await (await browser.newContext({ baseURL: url })).newPage();
  await first.goto('/login/');
  const files = await first.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/')).map(({ encodedBodySize }) => encodedBodySize));
  const assets = files.reduce((sum, size) => sum + size, 0);
  row('The first visit: HTML, stylesheet, scripts and icon', 'at most 30 kB', kilobytes((await look(first)).bytes + assets));
  const [somebody, admin] = [await enter(browser, 'person1002'), await enter(browser, 'manager')];
  const pages = [
    [first, '/login/'], [somebody, '/account/'], [somebody, '/account/delete/'], [admin, '/admin/'], [admin, '/admin/users/'],
    [admin, `/admin/users/${person}/`, '/admin/users/{id}/'], [admin, '/admin/conversations/'],
    [admin, `/admin/conversations/${room}/`, '/admin/conversations/{id}/'], [admin, '/admin/search/?q=harbour'], [admin, '/admin/events/'],
    [admin, '/admin/health/'],
  ];
  for (const [page, path, name = path] of pages) {
    const [paints, shifts] = [[], []];
    let bytes = 0;
    for (let round = 0; round < 12; round += 1) {
      await page.goto(path);
      const seen = await look(page);
      bytes = seen.bytes;
      shifts.push(seen.shift);
      if (round > 1) paints.push(seen.paint);
    }
    row(`\`${name}\` in Chromium: compressed, layout shift, first contentful paint`, 'at most 10 kB, 0, under 200 ms',
      `${kilobytes(bytes)}, ${Math.max(...shifts)}, ${median(paints).toFixed(0)} ms`);
  }
  // Its stream is not the admin's.
  await somebody.context().close();
  return admin;
}

// From the start of a command in another process until what it sent is on the page
async function follow(admin, room) {
  // What comes is shown to whoever is at the end.
  await admin.goto(`/admin/conversations/${room}/#end`);
  const taken = [];
  for (let round = 0; round < Math.min(rounds, 60); round += 1) {
    const said = `followed ${round}.`;
    const begin = process.hrtime.bigint();
    const seen = admin.waitForFunction((wanted) => document.body.textContent.includes(wanted), said).then(() => Number(process.hrtime.bigint() - begin) / 1e6);
    await run('message', 'send', '--as', 'person1', 'room1', said, '--quiet');
    taken.push(await seen);
  }
  row('From a command in another process to the open page', '200 ms at p95', `${median(taken).toFixed(0)} ms, p95 of ${taken.length} ${slowest(taken, 0.95).toFixed(0)} ms`);
}

// How many event streams a browser has with so many tabs
async function tabs(admin, room) {
  for (let tab = 1; tab < 12; tab += 1) await (await admin.context().newPage()).goto(`/admin/conversations/${room}/`);
  let open = '';
  for (let round = 0; round < 50 && open !== '1'; round += 1) {
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    const { body } = await new Client().ask('/metrics', null, { headers: { 'accept-encoding': 'identity' } });
    open = /^tidings_event_listeners (\d+)$/m.exec(body.toString())[1];
  }
  row('12 tabs', 'one stream', open);
}

async function main() {
  const [somebody, admin] = [await new Client().logIn('person1002'), await new Client().logIn('manager')];
  await new Client().time('/login/');
  await somebody.time('/account/');
  await somebody.time('/account/delete/', { note: ' of who has a fifth of all notifications', times: Math.ceil(rounds / 10) });
  const person = await id('user', 'show', 'person1001');
  const { room } = await administration(admin, person);
  let chromium;
  try { ({ chromium } = require('playwright-core')); } catch { process.exit(); }
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const page = await paint(browser, { room, person });
  await follow(page, room);
  await tabs(page, room);
  await browser.close();
  process.exit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
