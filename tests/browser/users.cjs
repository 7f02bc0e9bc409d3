// Users in the administration: what an admin does with them, and how the pages look.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { PASSWORD, HOSTILE, hostile } = require('./world.cjs');
const { Visitor } = require('./visitor.cjs');

const LONG = 'm'.repeat(150);

// Adds an admin and some users of a scenario, whose names begin alike.
function populate(world, name, count = 6) {
  const names = { first_name: HOSTILE.first_name, last_name: HOSTILE.last_name };
  const user = (username, more = {}) => ({ type: 'user', username, ...names, ...more });
  const some = Array.from({ length: count }, (_, number) => user(`${name}-${number}`, { is_active: number !== 1 }));
  const records = [user(`${name}-admin`, { role: 'admin', password: PASSWORD }), ...some];
  fs.writeFileSync(path.join(world.folder, `${name}.jsonl`), records.map((record) => JSON.stringify(record)).join('\n'));
  world.run('data', 'load', `${name}.jsonl`);
}

async function logIn(visitor, username) {
  await visitor.page.goto('/login/');
  await visitor.page.getByLabel('Username or email').fill(username);
  await visitor.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await visitor.page.getByRole('button', { name: 'Log in' }).click();
  await visitor.page.waitForURL('**/admin/**');
}

const show = (world, username) => JSON.parse(world.run('user', 'show', username, '-o', 'json'));

async function manage(browser, world, name, options) {
  populate(world, name);
  const visitor = await Visitor.come(browser, world, options);
  const { page } = visitor;
  await logIn(visitor, `${name}-admin`);
  await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: 'Users' }).click();
  await page.locator('[aria-current=page]', { hasText: 'Users' }).waitFor();

  // Creating one: a mistake keeps what was typed.
  const username = hostile(name);
  await page.getByText('New user', { exact: true }).click();
  const add = page.getByRole('form', { name: 'New user' });
  await add.getByLabel('Username').fill('with space');
  await add.getByLabel('First name').fill(HOSTILE.first_name);
  await visitor.press('Create user');
  await page.locator('#new-username[aria-invalid=true]').waitFor();
  assert.equal(await add.getByLabel('First name').inputValue(), HOSTILE.first_name);
  await add.getByLabel('Username').fill(username);
  await visitor.press('Create user');
  await visitor.sees('The user is created.');
  assert.equal(await page.locator('h1').textContent(), username);

  // The link, with which they set a password and log in
  await visitor.press('Make a link');
  const link = await page.getByLabel('Link that sets the password').inputValue();
  const other = await Visitor.come(browser, world, { userAgent: HOSTILE.agent });
  await other.page.goto(link);
  await other.page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await other.press('Set password');
  await other.logIn(username, PASSWORD);

  // The profile and the role
  await page.goto(new URL(page.url()).pathname.replace('password-link/', ''));
  await page.getByLabel('Last name').fill(HOSTILE.last_name);
  await page.getByLabel('Role', { exact: true }).selectOption('admin');
  await visitor.press('Save changes');
  await visitor.sees('The changes are saved.');
  assert.equal(show(world, username).role, 'admin');
  await page.getByLabel('Role', { exact: true }).selectOption('user');
  await visitor.press('Save changes');

  // Signed out everywhere: what was open there is gone.
  await visitor.press('Sign out everywhere');
  if (visitor.hasScripts) await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
  await visitor.sees('All sessions and access tokens of the user have ended.');
  await other.page.waitForURL('**/login/**');
  await other.leave();

  // Several at once: exactly those that were ticked, and the filter stays.
  await page.getByRole('link', { name: 'Users' }).first().click();
  await page.getByLabel('Name or email').fill(`${name}-`);
  await page.getByLabel('State', { exact: true }).selectOption('active');
  await visitor.press('Apply');
  for (const number of [2, 3]) await page.getByLabel(`Select ${name}-${number}`).check();
  const states = () => [0, 1, 2, 3, 4].map((number) => show(world, `${name}-${number}`).is_active);
  // Enter where Space was meant does nothing, and who presses the button is asked.
  await page.getByLabel(`Select ${name}-3`).press('Enter');
  await visitor.sees('Nothing was done: press Activate or Deactivate.');
  assert.deepEqual(states(), [true, false, true, true, true]);
  await visitor.press('Deactivate selected');
  if (visitor.hasScripts) {
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    assert.deepEqual(states(), [true, false, true, true, true]);
    await visitor.press('Deactivate selected');
    await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  }
  await visitor.sees('2 accounts are deactivated');
  assert.equal(new URL(page.url()).searchParams.get('search'), `${name}-`);
  assert.equal(await page.getByLabel('State', { exact: true }).inputValue(), 'active');
  assert.deepEqual(states(), [true, false, false, false, true]);

  // A page that is open on a user who is deleted meanwhile
  await page.getByRole('link', { name: `${name}-4`, exact: true }).click();
  await page.getByLabel('First name').fill('Too late');
  world.run('user', 'delete', `${name}-4`, '--yes');
  await visitor.press('Save changes');
  await visitor.sees('There is no user');
  await page.getByRole('link', { name: 'Users' }).click();

  // The deletion, by its receipt
  await page.getByLabel('Name or email').fill(username);
  await visitor.press('Apply');
  await page.getByRole('link', { name: username, exact: true }).click();
  await page.getByRole('link', { name: 'Delete account' }).click();
  await page.getByLabel('The username, to confirm').fill('somebody else');
  await visitor.press('Delete account');
  await page.locator('[name=username][aria-invalid=true]').waitFor();
  await page.getByLabel('The username, to confirm').fill(username);
  await visitor.press('Delete account');
  await visitor.sees('The user is deleted.');
  assert.throws(() => world.run('user', 'show', username));

  // Back, after the log-out, shows nothing.
  await visitor.press('Log out');
  await visitor.sees('You are logged out.');
  await page.goBack();
  await page.waitForURL('**/login/**');
  await visitor.leave();
}

async function looks(browser, world, pictures) {
  populate(world, 'look', 60);
  world.run('user', 'create', LONG, '--email', `${'n'.repeat(60)}@${'example.'.repeat(20)}org`, '--no-password');
  const visitor = await Visitor.come(browser, world, { userAgent: HOSTILE.agent, reducedMotion: 'reduce' });
  const { page } = visitor;
  const look = (name) => visitor.look(`admin-${name}`, pictures);
  await logIn(visitor, 'look-admin');
  await page.goto('/admin/users/');
  await look('users');
  await page.goto(`/admin/users/?search=${LONG}`);
  await look('users-one');
  await page.goto('/admin/users/?search=nobody-has-it&role=admin');
  await look('users-none');
  await page.goto(`/admin/users/?search=${'x'.repeat(300)}`);
  await look('users-refused');
  await page.goto('/admin/users/?search=look-');
  await page.getByText('New user', { exact: true }).click();
  const add = page.getByRole('form', { name: 'New user' });
  await add.getByLabel('Username').fill('ann');
  await add.getByLabel('Email').fill('x'.repeat(64 * 1024));
  await add.evaluate((form) => { form.noValidate = true; });
  await visitor.press('Create user');
  assert.equal((await add.getByLabel('Email').inputValue()).length, 64 * 1024);
  await look('users-new-refused');
  await page.goto('/admin/users/?search=look-');
  await page.getByLabel('Select look-3', { exact: true }).check();
  await visitor.press('Deactivate selected');
  await page.getByRole('dialog').getByRole('button', { name: 'Deactivate' }).click();
  await look('users-deactivated');

  const { user_id: id } = show(world, hostile('shown'));
  const elsewhere = await Visitor.come(browser, world, { userAgent: HOSTILE.agent });
  await elsewhere.logIn(hostile('shown'), PASSWORD);
  await page.goto(`/admin/users/${id}/`);
  await look('user');
  await visitor.press('Make a link');
  await look('user-link');
  await page.goto(`/admin/users/${id}/delete/`);
  await look('user-delete');
  await page.getByLabel('The username, to confirm').fill('x');
  await visitor.press('Delete account');
  await look('user-delete-refused');
  await page.goto(`/admin/users/${show(world, 'look-1').user_id}/`);
  await look('user-deactivated');
  await page.goto(`/admin/users/${show(world, 'look-admin').user_id}/`);
  await look('user-own');
  await page.goto(`/admin/users/${show(world, LONG).user_id}/`);
  await look('user-long');
  await page.goto('/admin/users/00000000-0000-7000-8000-000000000000/');
  await look('user-not-found');
  await elsewhere.leave();
  await visitor.leave();
}

// By a slow connection a list comes in pieces, and each of these has a longer name than those before.
async function slowly(browser, world) {
  populate(world, 'slow', 0);
  const users = Array.from({ length: 40 }, (_, number) => ({ type: 'user', username: `slow-${'m'.repeat(number)}` }));
  fs.writeFileSync(path.join(world.folder, 'slow.json'), JSON.stringify(users));
  world.run('data', 'apply', 'slow.json');
  const visitor = await Visitor.come(browser, world);
  const { page } = visitor;
  await logIn(visitor, 'slow-admin');
  const network = await visitor.context.newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.emulateNetworkConditions', { offline: false, latency: 20, downloadThroughput: 3000, uploadThroughput: 3000 });
  await page.goto('/admin/users/?search=slow-');
  await visitor.sees(users[39].username);
  assert.equal(await page.evaluate(() => window.shifts), 0);
  await visitor.leave();
}

module.exports = {
  'an admin manages users with scripts': (browser, world) => manage(browser, world, 'managed', {}),
  'an admin manages users without scripts': (browser, world) => manage(browser, world, 'plainly', { javaScriptEnabled: false }),
  'a list that comes slowly does not move': slowly,
  'the pages of users as they look': looks,
};
