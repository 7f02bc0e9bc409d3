// Somebody with a browser: what must never happen on any page is noted, and what every page must be is checked.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [360, 768, 1280, 2560];

class Visitor {
  // A visitor of that server: a browser context of their own
  static async come(browser, world, options = {}) {
    const context = await browser.newContext({ baseURL: world.url, timezoneId: 'Asia/Kathmandu', locale: 'de-DE', acceptDownloads: true, ...options });
    const visitor = new Visitor();
    Object.assign(visitor, { context, world, faults: [], hasScripts: options.javaScriptEnabled ?? true });
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error('violated', event.violatedDirective, event.blockedURI, event.sample));
      window.shifts = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shifts += entry.hadRecentInput ? 0 : entry.value; }))
        .observe({ type: 'layout-shift', buffered: true });
    });
    context.on('page', (page) => visitor.watch(page));
    visitor.page = await context.newPage();
    return visitor;
  }

  watch(page) {
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => {
      // A page that is answered with an error is one, and no fault of its own.
      const isPage = message.text().startsWith('Failed to load resource') && !message.location().url.includes('/assets/');
      if (['error', 'warning'].includes(message.type()) && !isPage) this.faults.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.faults.push(`${page.url()}: ${error.stack}`));
    page.on('dialog', (dialog) => {
      this.faults.push(`${page.url()}: a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
  }

  async leave() {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }

  async logIn(username, password, page = this.page) {
    await page.goto('/login/');
    await page.getByLabel('Username or email').fill(username);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.waitForURL('**/account/');
  }

  // Presses a button, and waits for the page that comes of it.
  async press(name, page = this.page) {
    await page.getByRole('button', { name, exact: true }).click();
    await page.waitForLoadState('load');
  }

  async sees(text, page = this.page) {
    await page.getByText(text, { exact: false }).first().waitFor();
  }

  // Looks at a page in every width and colour, keeps the pictures, and fails where anything is wrong with it.
  async look(name, folder, page = this.page) {
    assert.equal(await page.evaluate(() => window.shifts), 0, `${name} moved while it was loaded`);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(over, 0, `${name} is wider than ${width} px`);
        if (width === 1280) await this.checkWithAxe(name, page);
        // Of a dialog, what is behind it does not matter.
        const fullPage = await page.getByRole('dialog').count() === 0;
        await page.screenshot({ path: path.join(folder, `${name}-${width}-${colorScheme}.png`), fullPage });
      }
    }
    await page.setViewportSize({ width: 1280, height: 720 });
  }

  async checkWithAxe(name, page) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => axe.run({ resultTypes: ['violations'] }));
    const found = violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html).join('; ')}`);
    assert.deepEqual(found, [], name);
  }
}

module.exports = { Visitor };
