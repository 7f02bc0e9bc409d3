// What happens to people beside the straight way: Back, several tabs, impatience, other sites, lost answers.
const assert = require('node:assert/strict');

const { PASSWORD } = require('./world.cjs');
const { Proxy } = require('./proxy.cjs');
const { Visitor } = require('./visitor.cjs');

const path = (page) => new URL(page.url()).pathname;

async function back(browser, world) {
  const visitor = await Visitor.come(browser, world);
  await visitor.logIn('ann', PASSWORD);
  await visitor.press('Log out');
  await visitor.sees('You are logged out.');
  await visitor.page.goBack();
  await visitor.page.waitForURL('**/login/**');
  await visitor.leave();
}

async function tabs(browser, world) {
  const visitor = await Visitor.come(browser, world);
  await visitor.logIn('ann', PASSWORD);
  const second = await visitor.context.newPage();
  await second.goto('/account/');
  await visitor.press('Log out');
  await second.waitForURL('**/login/**');
  // The log-in of one is that of all.
  await visitor.logIn('ann', PASSWORD);
  await second.waitForURL('**/account/');
  // What was typed or chosen is not lost by it, while a page with nothing of it is gone.
  const [third, fourth] = [await visitor.context.newPage(), await visitor.context.newPage()];
  await third.goto('/account/');
  await fourth.goto('/account/');
  await second.getByLabel('First name').fill('Ann');
  const level = third.locator('form[action="/account/levels/"] select').first();
  await level.selectOption('none');
  await visitor.press('Log out');
  await visitor.sees('You are logged out.');
  await fourth.waitForURL('**/login/**');
  assert.equal(await second.getByLabel('First name').inputValue(), 'Ann');
  assert.equal(await level.inputValue(), 'none');
  // The tabs that keep it do not keep the events from others.
  await visitor.logIn('ann', PASSWORD);
  await visitor.page.waitForFunction(async () => (await navigator.locks.query()).held.length === 1);
  await fourth.waitForURL('**/account/');
  world.run('token', 'revoke', 'ann');
  await fourth.waitForURL('**/login/**');
  await visitor.leave();
}

// A page that answered a form is not sent again when it is renewed.
async function answeredForm(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('bob', PASSWORD);
  await page.getByLabel('Username').fill('ann');
  await visitor.press('Save profile');
  await page.locator('[name=username][aria-invalid=true]').waitFor();
  let sent = 0;
  page.on('request', (request) => { sent += request.method() === 'POST' ? 1 : 0; });
  const second = await visitor.context.newPage();
  await second.goto('/account/');
  await visitor.press('Log out', second);
  await page.waitForURL('**/login/**');
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
  assert.equal(sent, 0);
  await visitor.leave();
}

async function typedThenBack(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('bob', PASSWORD);
  const field = page.getByLabel('First name');
  // As browsers do that kept the page as it was
  const comeBack = () => page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await field.fill('Robert');
  await comeBack();
  await page.waitForFunction(() => !document.documentElement.hidden);
  assert.equal(await field.inputValue(), 'Robert');
  // Not for whoever comes after a log-out
  await visitor.context.clearCookies();
  await comeBack();
  await page.waitForURL('**/login/**');
  await visitor.leave();
}

async function endedSession(browser, world, options) {
  const visitor = await Visitor.come(browser, world, options);
  const { page } = visitor;
  await visitor.logIn('bob', PASSWORD);
  await page.getByLabel('First name').fill('Robert "Bob"');
  world.run('token', 'revoke', 'bob');
  await visitor.press('Save profile');
  await visitor.sees('Your session ended before this was carried out.');
  await page.getByLabel('Username or email').fill('bob');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await visitor.press('Log in');
  await visitor.press('Send it now');
  await visitor.sees('Your profile is saved.');
  assert.equal(await page.getByLabel('First name').inputValue(), 'Robert "Bob"');
  await visitor.leave();
}

async function endedForPasswords(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const form = visitor.page.locator('form[action="/account/password/"]');
  await visitor.logIn('bob', PASSWORD);
  await form.getByLabel('Current password', { exact: true }).fill(PASSWORD);
  await form.getByLabel('New password', { exact: true }).fill('another horse 1');
  world.run('token', 'revoke', 'bob');
  await visitor.press('Change password');
  await visitor.sees('You are not logged in, or your session has ended.');
  await visitor.leave();
}

async function impatience(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('bob', PASSWORD);
  let sent = 0;
  await page.route('**/account/', async (route) => {
    sent += route.request().method() === 'POST' ? 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 300));
    await route.continue();
  });
  await page.getByLabel('Last name').fill('Builder');
  await page.getByRole('button', { name: 'Save profile' }).dblclick({ noWaitAfter: true });
  await visitor.sees('Your profile is saved.');
  assert.equal(sent, 1);
  await visitor.leave();
}

// A form of which the sending was stopped can be sent again, and the password that was shown is hidden by then.
async function stopped(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await page.clock.install();
  await visitor.logIn('bob', PASSWORD);
  const form = page.locator('form[action="/account/password/"]');
  const field = form.getByLabel('New password', { exact: true });
  await form.getByLabel('Current password', { exact: true }).fill(PASSWORD);
  await field.fill(PASSWORD);
  await form.getByRole('button', { name: 'Show New password' }).click();
  assert.equal(await field.getAttribute('type'), 'text');
  await page.route('**/account/password/', (route) => route.abort('aborted'), { times: 1 });
  const button = page.getByRole('button', { name: 'Change password' });
  await button.click();
  await page.locator('[aria-disabled]').waitFor();
  assert.equal(await field.getAttribute('type'), 'password');
  await page.clock.fastForward(6000);
  await page.locator('[aria-disabled]').waitFor({ state: 'detached' });
  await button.click();
  await visitor.sees('Your password is changed.');
  await visitor.leave();
}

async function lostAnswer(browser, world) {
  let sent = 0;
  const proxy = await Proxy.start(world, (connection) => {
    sent += 1;
    if (sent === 2) connection.destroy();
  });
  const visitor = await Visitor.come(browser, { url: proxy.url });
  const { page } = visitor;
  await visitor.logIn('carol', PASSWORD);
  const form = page.locator('form[action="/account/password/"]');
  await form.getByLabel('Current password', { exact: true }).fill(PASSWORD);
  await form.getByLabel('New password', { exact: true }).fill('another horse 1');
  await page.getByRole('button', { name: 'Change password' }).click();
  // The password is changed, and the session has ended that the browser knows. The browser sends the form again on "Reload".
  await page.getByText('ERR_EMPTY_RESPONSE').waitFor();
  await page.reload();
  await visitor.sees('Your password is changed.');
  assert.equal(sent, 3);
  await visitor.press('Log out');
  await visitor.logIn('carol', 'another horse 1');
  visitor.faults = visitor.faults.filter((fault) => !fault.includes('ERR_EMPTY_RESPONSE'));
  await visitor.leave();
  proxy.stop();
}

async function killed(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('lone', PASSWORD);
  await page.getByLabel('Last name').fill('Shaw');
  // The server is killed before the form is sent, and is back before it is sent again.
  await world.kill();
  await page.getByRole('button', { name: 'Save profile' }).click();
  await page.getByText('ERR_CONNECTION_REFUSED').waitFor();
  await world.start();
  await page.goto('/account/');
  await page.getByLabel('Last name').fill('Shaw');
  await visitor.press('Save profile');
  await visitor.sees('Your profile is saved.');
  visitor.faults = visitor.faults.filter((fault) => !fault.includes('ERR_CONNECTION_REFUSED'));
  await visitor.leave();
}

async function deletedMeanwhile(browser, world) {
  const visitor = await Visitor.come(browser, world);
  await visitor.logIn('dave', PASSWORD);
  const second = await visitor.context.newPage();
  await second.goto('/account/delete/');
  await visitor.page.getByLabel('Last name').fill('Gone');
  world.run('user', 'delete', 'dave', '--yes');
  await visitor.press('Save profile');
  await visitor.page.getByRole('heading', { name: 'Log in' }).waitFor();
  // The other tab had nothing typed in it: it was led to the log-in at once.
  await second.waitForURL('**/login/**');
  await visitor.leave();
}

async function foreignSite(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('ann', PASSWORD);
  const form = (action) => `<!doctype html><title>x</title><form method=post action="${world.url}${action}"><input name=first_name value=Evil><button>Win</button></form>`;
  for (const action of ['/account/', '/logout/', '/login/', '/account/sessions/']) {
    await page.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: form(action) }));
    await page.goto('http://evil.example/');
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      page.getByRole('button', { name: 'Win' }).click(),
    ]);
    assert.equal(answer.status(), 403, action);
    await page.getByRole('heading', { name: 'Forbidden' }).waitFor();
  }
  await page.goto('/account/');
  assert.equal(await page.getByLabel('First name').inputValue(), '');
  await visitor.leave();
}

async function keyboard(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  const press = (key) => page.keyboard.press(key);
  // A log-in by the keyboard alone
  await page.goto('/login/');
  await page.keyboard.type('ann');
  await press('Tab');
  await page.keyboard.type(PASSWORD);
  await press('Enter');
  await page.waitForURL('**/account/');
  // The first thing that the keyboard reaches leads past the top, and everything that it reaches can be seen.
  await press('Tab');
  await press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
  const seen = new Set();
  for (let count = 0; count < 60; count += 1) {
    await press('Tab');
    const [what, outline, width] = await page.evaluate(() => {
      const { activeElement: active } = document;
      return [active.outerHTML.slice(0, 80), getComputedStyle(active).outlineStyle, active.getBoundingClientRect().width];
    });
    if (what.startsWith('<body')) break;
    assert.ok(outline !== 'none' && width > 1, `the focus cannot be seen on ${what}`);
    seen.add(what);
  }
  assert.ok(seen.size > 10);
  // Shortcuts, and that they can be switched off
  await page.goto('/account/delete/');
  await page.locator('h1').click();
  await press('g');
  await press('a');
  await page.waitForURL('**/account/');
  await press('?');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('checkbox').focus();
  await press('Space');
  await press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await press('?');
  await page.waitForTimeout(200);
  assert.equal(await dialog.count(), 0);
  const button = page.getByRole('button', { name: 'Keyboard shortcuts' });
  await button.focus();
  await press('Enter');
  assert.equal(await dialog.getByRole('checkbox').isChecked(), false);
  await press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.ok(await button.evaluate((element) => element === document.activeElement));
  await page.goto('/account/delete/');
  await page.locator('h1').click();
  await press('g');
  await press('a');
  await page.waitForTimeout(200);
  assert.equal(path(page), '/account/delete/');
  await visitor.leave();
}

async function times(browser, world) {
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await visitor.logIn('ann', PASSWORD);
  const time = page.locator('main time').last();
  assert.equal(await time.textContent(), 'just now');
  const whole = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Kathmandu', hour: '2-digit', minute: '2-digit' });
  assert.ok((await time.getAttribute('data-whole')).includes(whole.format(new Date(await time.getAttribute('datetime')))));
  await time.focus();
  const shown = await time.evaluate((element) => getComputedStyle(element, '::after').content);
  assert.ok(shown.includes('GMT+5:45'), shown);
  await visitor.leave();

  const plain = await Visitor.come(browser, world, { javaScriptEnabled: false });
  await plain.logIn('ann', PASSWORD);
  assert.match(await plain.page.locator('main time').last().textContent(), /^\d+ \w{3} \d{4}, \d\d:\d\d UTC$/);
  await plain.leave();
}

module.exports = {
  'Back after a log-out': back,
  'several tabs': tabs,
  'a page that answered a form': answeredForm,
  'Back to what was typed': typedThenBack,
  'a session that ended meanwhile': endedSession,
  'a session that ended meanwhile, without scripts': (browser, world) => endedSession(browser, world, { javaScriptEnabled: false }),
  'a session that ended before a password was sent': endedForPasswords,
  'a double click': impatience,
  'a form that was stopped': stopped,
  'an answer that was lost': lostAnswer,
  'a killed and restarted server': killed,
  'an account that was deleted meanwhile': deletedMeanwhile,
  'forms of a foreign site': foreignSite,
  'the keyboard alone': keyboard,
  'times in the zone of the visitor': times,
};
