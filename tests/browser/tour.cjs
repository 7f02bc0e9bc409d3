// Everything that one does with one's own account, from the first visit to its deletion.
const assert = require('node:assert/strict');
const fs = require('node:fs');

const { PASSWORD, HOSTILE, hostile } = require('./world.cjs');
const { Visitor } = require('./visitor.cjs');

const NEW_PASSWORD = 'wrong horse 9';

async function tour(browser, world, username, options) {
  const visitor = await Visitor.come(browser, world, options);
  const { page } = visitor;

  // Nobody is shown anything before the log-in, and what was typed wrongly need not be typed again.
  await page.goto('/account/');
  assert.equal(new URL(page.url()).pathname, '/login/');
  await page.getByLabel('Username or email').fill(username);
  await page.getByLabel('Password', { exact: true }).fill('wrong');
  await visitor.press('Log in');
  await visitor.sees('No active account found with the given credentials');
  assert.equal(await page.getByLabel('Username or email').inputValue(), username);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await visitor.press('Log in');
  await page.waitForURL('**/account/');
  assert.equal(await page.getByLabel('First name').inputValue(), HOSTILE.first_name);

  // The profile: a mistake is said at its field, with everything that was typed.
  await page.getByLabel('First name').fill('Ada');
  await page.getByLabel('Email').fill('ada@example org');
  // The browser would not send it.
  await page.getByLabel('Email').evaluate((field) => { field.type = 'text'; });
  await visitor.press('Save profile');
  await page.locator('[name=email][aria-invalid=true]').waitFor();
  assert.equal(await page.getByLabel('First name').inputValue(), 'Ada');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'email');
  await page.getByLabel('Email').fill(`${visitor.hasScripts ? 'ada' : 'eve'}@example.org`);
  await visitor.press('Save profile');
  await visitor.sees('Your profile is saved.');
  await page.reload();
  assert.equal(await page.getByText('Your profile is saved.').count(), visitor.hasScripts ? 0 : 1);

  // The password
  const password = page.locator('form[action="/account/password/"]');
  const change = async (current, next) => {
    await password.getByLabel('Current password', { exact: true }).fill(current);
    await password.getByLabel('New password', { exact: true }).fill(next);
    await visitor.press('Change password');
  };
  await change('wrong', NEW_PASSWORD);
  await password.locator('[name=current_password][aria-invalid=true]').waitFor();
  await change(PASSWORD, NEW_PASSWORD);
  await visitor.sees('Your password is changed.');

  // The levels, also those of the second page
  await page.getByRole('link', { name: 'Next' }).click();
  await page.getByRole('link', { name: 'Previous' }).waitFor();
  const level = page.locator('form[action="/account/levels/"] select').first();
  await level.selectOption('none');
  const id = await level.getAttribute('name');
  await visitor.press('Save notifications');
  await visitor.sees('Your notifications are saved.');
  const participants = JSON.parse(world.run('user', 'export', username)).conversations;
  assert.equal(participants.find((part) => part.conversation_id === id).level, 'none');

  // The sessions: another browser is logged out.
  const other = await Visitor.come(browser, world, { userAgent: HOSTILE.agent });
  await other.logIn(username, NEW_PASSWORD);
  await page.goto('/account/');
  await page.getByRole('button', { name: 'Log out Unknown browser', description: /^Logged in .+ · last used / }).waitFor();
  await visitor.press('Sign out everywhere else');
  if (visitor.hasScripts) {
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere else' }).click();
  }
  await visitor.sees('All other sessions have ended.');
  // What was open there is gone at once.
  await other.page.waitForURL('**/login/**');
  await other.leave();

  // The export
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download your data' }).click()]);
  assert.equal(JSON.parse(fs.readFileSync(await download.path(), 'utf8')).user.username, username);

  // Log-out, and the deletion
  await visitor.press('Log out');
  await visitor.sees('You are logged out.');
  await visitor.logIn(username, NEW_PASSWORD);
  await page.getByRole('link', { name: 'Delete account' }).click();
  await page.getByText('Messages sent').waitFor();
  await page.getByLabel('Your username, to confirm').fill('somebody else');
  await visitor.press('Delete account');
  await page.locator('[name=username][aria-invalid=true]').waitFor();
  assert.equal(await page.getByLabel('Your username, to confirm').inputValue(), 'somebody else');
  await page.getByLabel('Your username, to confirm').fill(username);
  await visitor.press('Delete account');
  await visitor.sees('Your account is deleted.');
  assert.throws(() => world.run('user', 'show', username));
  await visitor.leave();
}

module.exports = {
  'the tour with scripts': (browser, world) => tour(browser, world, hostile('tour'), {}),
  'the tour without scripts': (browser, world) => tour(browser, world, hostile('plain'), { javaScriptEnabled: false }),
};
