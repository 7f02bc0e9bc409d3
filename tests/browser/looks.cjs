// Every page as it looks, in each width and colour, and as those perceive it who do not see it.
const assert = require('node:assert/strict');

const { PASSWORD, HOSTILE, hostile } = require('./world.cjs');
const { Visitor } = require('./visitor.cjs');

async function looks(browser, world, pictures) {
  const visitor = await Visitor.come(browser, world, { userAgent: HOSTILE.agent, reducedMotion: 'reduce' });
  const { page } = visitor;
  const look = (name) => visitor.look(name, pictures);
  const username = hostile('shown');

  await page.goto('/login/');
  await look('login');
  await page.getByLabel('Username or email').fill(username);
  await page.getByLabel('Password', { exact: true }).fill('wrong');
  await visitor.press('Log in');
  await look('login-refused');
  await page.goto('/nowhere/');
  await look('not-found');

  const elsewhere = await Visitor.come(browser, world);
  await elsewhere.logIn(username, PASSWORD);
  await visitor.logIn(username, PASSWORD);
  await look('account');
  await elsewhere.leave();
  await page.keyboard.press('?');
  await look('shortcuts');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
  await look('question');
  await page.keyboard.press('Escape');
  await page.getByLabel('Username').fill('ann');
  await page.getByLabel('Email').fill('x'.repeat(64 * 1024));
  await page.locator('form[action="/account/"]').evaluate((form) => { form.noValidate = true; });
  await visitor.press('Save profile');
  assert.equal((await page.getByLabel('Email').inputValue()).length, 64 * 1024);
  await look('account-refused');
  await page.goto('/account/delete/');
  await look('delete');
  await page.getByLabel('Your username, to confirm').fill('x');
  await visitor.press('Delete account');
  await look('delete-refused');
  await page.goto('/account/');
  await visitor.press('Log out');
  await look('logged-out');

  await visitor.logIn('lone', PASSWORD);
  await look('account-empty');
  await page.getByLabel('First name').fill('Lone');
  world.run('token', 'revoke', 'lone');
  await visitor.press('Save profile');
  await look('login-again');
  await page.getByLabel('Username or email').fill('lone');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await visitor.press('Log in');
  await look('send-again');

  const link = world.run('user', 'password-link', 'lone', '--base-url', world.url, '--quiet').trim();
  await page.goto(link);
  await look('password-link');
  await page.getByLabel('New password', { exact: true }).fill('password');
  await visitor.press('Set password');
  await look('password-link-refused');
  await page.getByLabel('New password', { exact: true }).fill('horse correct 7');
  await visitor.press('Set password');
  await visitor.sees('Your password is set.');
  await page.goto(link);
  await look('password-link-used');
  await visitor.leave();
}

module.exports = { 'every page as it looks': looks };
