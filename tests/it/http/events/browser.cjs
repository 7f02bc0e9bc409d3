// Drives the page of page.rs in Chromium: each line of standard input is a command, each line of standard output what the page
// has heard by then. Chromium would ask whether the page may reach this machine; nobody is there to answer.
const readline = require('node:readline');
const { chromium } = require('playwright-core');

const { PAGE, API, SCRIPT } = process.env;

async function main() {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-features=LocalNetworkAccessChecks'] });
  const page = await browser.newPage();
  page.on('pageerror', (error) => { console.error(error); process.exit(1); });
  const devtools = await page.context().newCDPSession(page);
  let token = '';
  await page.exposeFunction('accessToken', () => token);
  const start = `
    window.heard = [];
    listen('${API}', accessToken, (kind, data) => heard.push([kind, data.message?.content]), new AbortController().signal);`;
  const body = `<!doctype html><script>${SCRIPT}\n${start}</script>`;
  await page.route(PAGE, (route) => route.fulfill({ contentType: 'text/html', body }));
  const commands = {
    token: (value) => { token = value; },
    // With the head of the answer the stream has begun: what was sent before is not on it.
    open: () => Promise.all([page.waitForResponse((answer) => answer.url().includes('/events/?') && answer.ok()), page.goto(PAGE)]),
    until: (count) => page.waitForFunction((count) => heard.length >= count, Number(count), { polling: 50, timeout: 60_000 }),
    freeze: () => devtools.send('Page.setWebLifecycleState', { state: 'frozen' }),
    thaw: () => devtools.send('Page.setWebLifecycleState', { state: 'active' }),
  };
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, argument] = line.split(' ');
    await commands[name](argument);
    console.log(JSON.stringify(name === 'until' ? await page.evaluate('heard') : null));
  }
  await browser.close();
}

main().catch((error) => { console.error(error); process.exit(1); });
