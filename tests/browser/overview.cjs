// What an admin sees of the whole: the overview, the log of events, the health of the server.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { PASSWORD, HOSTILE, hostile } = require('./world.cjs');
const { Visitor } = require('./visitor.cjs');

// An admin whose name would be markup
function admin(world, name) {
  const username = hostile(name);
  world.run('user', 'create', username, '--role', 'admin', '--first-name', HOSTILE.first_name, '--no-password');
  const link = world.run('user', 'password-link', username, '--base-url', world.url, '--quiet').trim();
  return { username, link };
}

async function enter(visitor, { username, link }) {
  const { page } = visitor;
  await page.goto(link);
  await page.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await visitor.press('Set password');
  await page.goto('/login/');
  await page.getByLabel('Username or email').fill(username);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await visitor.press('Log in');
  await page.waitForURL('**/admin/');
}

async function whole(browser, world, pictures, options, name) {
  const visitor = await Visitor.come(browser, world, { reducedMotion: 'reduce', ...options });
  const { page } = visitor;
  const keeps = (picture) => (visitor.hasScripts ? visitor.look(picture, pictures) : Promise.resolve());
  const who = admin(world, name);
  // Something of every kind, and more than a page of it
  const lines = Array.from({ length: 60 }, (_, number) => ({ type: 'user', username: `${name}-${number}` }));
  fs.writeFileSync(path.join(world.folder, 'crowd.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
  world.run('data', 'load', 'crowd.jsonl');
  world.run('message', 'send', '--as', 'ann', 'group-30', HOSTILE.title);
  world.run('message', 'send', '--as', 'bob', '--to', `${name}-1`, 'hello');
  world.run('conversation', 'level', '--as', 'bob', 'group-30', 'none');
  world.run('notifications', 'read', '--as', 'bob', '--all');
  world.run('user', 'delete', `${name}-1`, '--yes');
  await enter(visitor, who);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  while (await page.getByText('Everything is being counted').count()) await page.reload();
  assert.equal(await page.locator('.chart svg').count(), 2);
  assert.ok(Number(await page.locator('.numbers dd').first().innerText()) >= 8);
  await keeps('overview');
  await page.getByText('The days as a table').click();
  assert.equal(await page.locator('details tbody tr').count(), 30);
  assert.ok(await page.locator('details tbody tr').first().isVisible());
  await keeps('overview-table');

  await page.getByRole('link', { name: 'Events' }).click();
  await page.getByRole('heading', { name: 'Events' }).waitFor();
  assert.ok(await page.locator('.log li').count() > 10);
  await keeps('events');
  await page.getByRole('link', { name: 'Older' }).click();
  await page.getByRole('link', { name: 'Newest' }).waitFor();
  await keeps('events-older');
  await page.getByRole('link', { name: 'Newest' }).click();
  await page.getByLabel('About').fill(who.username);
  await page.getByLabel('Kind').selectOption('user.created');
  await visitor.press('Apply');
  assert.equal(await page.locator('.log li').count(), 1);
  assert.equal(await page.locator('.log li bdi').last().innerText(), who.username);
  assert.equal(await page.getByLabel('Kind').inputValue(), 'user.created');
  await keeps('events-filtered');
  await page.getByLabel('User', { exact: true }).fill('x'.repeat(8000));
  await visitor.press('Apply');
  await page.locator('[name=actor][aria-invalid=true]').waitFor();
  assert.equal(await page.getByLabel('About').inputValue(), who.username);
  await keeps('events-refused');
  // What a field for times cannot hold is not lost in it.
  await page.goto('/admin/events/?since=today');
  assert.equal(await page.getByLabel('Since (UTC)').inputValue(), 'today');
  await page.goto('/admin/events/?since=2001-01-01T01:00:00%2B01:00&kind=nonsense');
  assert.equal(await page.getByLabel('Since (UTC)').inputValue(), '2001-01-01T00:00');
  await page.locator('select[name=kind][aria-invalid=true]:focus').waitFor();
  await keeps('events-no-such-kind');
  await page.getByRole('link', { name: 'Clear' }).click();
  await page.getByLabel('Since (UTC)').fill('2001-01-01T00:00');
  await page.getByLabel('Before (UTC)').fill('2001-01-02T00:00');
  await visitor.press('Apply');
  await visitor.sees('No event matches.');
  await keeps('events-none');

  await page.getByRole('link', { name: 'Health' }).click();
  await visitor.sees('The database can be read and written: a trial write succeeded.');
  assert.ok(await page.locator('tbody tr').count() > 3);
  await keeps('health');
  await visitor.leave();
}

module.exports = {
  'an admin sees the whole': (browser, world, pictures) => whole(browser, world, pictures, {}, 'overview'),
  'an admin sees the whole without scripts': (browser, world, pictures) => whole(browser, world, pictures, { javaScriptEnabled: false }, 'still-overview'),
};
