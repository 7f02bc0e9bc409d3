// The pages in Chromium, on a server of their own: node run.cjs PROGRAM FOLDER PICTURES [PART OF A NAME]
const fs = require('node:fs');
const { chromium } = require('playwright-core');
const { World } = require('./world.cjs');

const [program, folder, pictures, only = ''] = process.argv.slice(2);

async function main() {
  fs.mkdirSync(pictures, { recursive: true });
  const world = new World(folder, program);
  await world.start();
  const options = {
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--host-resolver-rules=MAP evil.example 127.0.0.1'],
    // Playwright switches it off; people have it, and it is what shows an old page after Back.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  };
  const browser = await chromium.launch(options);
  let failed = 0;
  const all = { ...require('./tour.cjs'), ...require('./accidents.cjs'), ...require('./looks.cjs'), ...require('./overview.cjs'), ...require('./users.cjs'), ...require('./conversations.cjs') };
  for (const [name, scenario] of Object.entries(all).filter(([name]) => name.includes(only))) {
    const start = Date.now();
    const fault = await scenario(browser, world, pictures).then(() => null, (error) => error);
    console.log(`${fault ? 'FAILED' : 'ok'}: ${name} (${Date.now() - start} ms)`);
    if (!fault) continue;
    failed += 1;
    console.log(fault.stack);
    for (const [number, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
      console.log(`the page at ${page.url()}`);
      await page.screenshot({ path: `${pictures}/FAILED-${failed}-${number}.png` }).catch(() => {});
    }
    await Promise.all(browser.contexts().map((context) => context.close()));
  }
  await browser.close();
  await world.kill();
  process.exit(failed ? 1 : 0);
}

main().catch((error) => {
  console.log(error);
  process.exit(1);
});
