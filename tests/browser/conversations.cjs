// An admin among the conversations of others: reading them while they go on, and what was changed in them.
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { PASSWORD, HOSTILE, hostile } = require('./world.cjs');
const { Visitor } = require('./visitor.cjs');

const LONG = 'A text of many words, said at once. '.repeat(1820);

// Records of a group with so many messages, and of whom there are not yet
function talk(name, messages, more = {}) {
  const people = ['watcher', 'bob', hostile('speaker')];
  const said = Array.from({ length: messages }, (_, number) => ({
    type: 'message', key: `${name}-${number}`, conversation: name, sender: people[1 + number % 2], content: `text ${number + 1} of ${name}`,
    timestamp: new Date(Date.UTC(2026, 0, 1, 17) + number * 3600_000).toISOString(),
  }));
  return [
    { type: 'user', username: 'watcher', password: PASSWORD, role: 'admin' },
    { type: 'user', username: 'guest' },
    { type: 'user', username: people[2], first_name: HOSTILE.first_name, last_name: HOSTILE.last_name },
    { type: 'conversation', name, participants: people, creator: 'bob', ...more },
    ...said,
  ];
}

function apply(world, records) {
  fs.writeFileSync(path.join(world.folder, 'talk.json'), JSON.stringify(records));
  world.run('data', 'apply', 'talk.json');
}

// An admin who is logged in, on the page of a conversation
async function watch(browser, world, name, options) {
  const visitor = await Visitor.come(browser, world, options);
  const { page } = visitor;
  await page.goto('/login/?next=/admin/conversations/');
  await page.getByLabel('Username or email').fill('watcher');
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL('**/admin/conversations/');
  const id = world.run('conversation', 'list', '--search', name, '-o', 'ids').trim();
  visitor.place = `/admin/conversations/${id}/`;
  await page.goto(`${visitor.place}#end`);
  return visitor;
}

const said = (page, text) => page.locator('.said', { hasText: text });
const send = (world, name, text, sender = 'bob') => world.run('message', 'send', name, text, '--as', sender, '-o', 'ids').trim();

// Waits until the page hears what happens.
async function isLive(page) {
  await page.waitForFunction(async () => (await navigator.locks.query()).held.length === 1);
  await page.waitForTimeout(500);
}

async function goesOn(browser, world) {
  apply(world, talk('live', 60));
  const visitor = await watch(browser, world, 'live');
  const { page } = visitor;

  // What is said before the stream is asked for what a page follows is not missed; here that takes a second.
  const slow = await page.context().newPage();
  await slow.addInitScript(() => {
    const { setTimeout } = window;
    window.setTimeout = (work, after) => setTimeout(work, after === 20 ? 1000 : after);
  });
  await page.goto('about:blank');
  await slow.goto(`${visitor.place}#end`);
  await slow.waitForFunction(async () => (await navigator.locks.query()).held.length === 1);
  await slow.waitForTimeout(100);
  send(world, 'live', 'said at once');
  await said(slow, 'said at once').waitFor();
  await slow.close();
  await page.goto(`${visitor.place}#end`);
  await isLive(page);
  // How long it takes from a command, which does not know of the server, to the page
  await page.evaluate(() => {
    window.delays = [];
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((added) => {
      const time = added.querySelector?.('time');
      if (time) window.delays.push(Date.now() - Date.parse(time.dateTime));
    }))).observe(document.querySelector('.talk'), { childList: true });
  });
  for (let number = 0; number < 20; number += 1) {
    send(world, 'live', `told ${number}.`);
    await said(page, `told ${number}.`).waitFor();
  }
  const delays = (await page.evaluate(() => window.delays)).toSorted((one, other) => one - other);
  console.log(`from a command to the page: median ${delays[9]} ms, p95 ${delays[18]} ms`);
  assert.ok(delays[18] < 2000, `${delays}`);

  // At the end the page stays there; elsewhere it stays where it is, and says how much is new.
  const isAtEnd = () => page.evaluate(() => document.getElementById('end').getBoundingClientRect().top <= innerHeight + 1);
  assert.ok(await isAtEnd());
  await page.evaluate(() => scrollTo(0, 200));
  await page.waitForTimeout(200);
  const before = await page.evaluate(() => scrollY);
  send(world, 'live', 'while you were away');
  const root = world.run('message', 'list', 'live', '--limit', '1', '-o', 'ids').trim();
  world.run('message', 'send', 'live', 'an answer', '--as', hostile('speaker'), '--reply-to', root);
  await page.getByText('2 new ↓').waitFor();
  assert.equal(await page.evaluate(() => scrollY), before);
  await page.getByText('2 new ↓').click();
  await page.getByText('2 new ↓').waitFor({ state: 'hidden' });
  assert.ok(await isAtEnd());

  // A reply leads to what it replies to, which knows of it.
  const parent = said(page, 'while you were away');
  const reply = said(page, 'an answer');
  assert.equal(await reply.locator('.by').textContent(), hostile('speaker'));
  const number = await parent.locator('.number').textContent();
  assert.equal(await reply.locator('.parent').textContent(), `reply to ${number}`);
  assert.equal(await parent.locator('.replies').textContent(), '1 reply');

  // Edits appear in place, deletions leave their tombstone, and markup stays text.
  const id = send(world, 'live', HOSTILE.title);
  await said(page, HOSTILE.title).waitFor();
  world.run('message', 'edit', id, LONG);
  const long = said(page, 'A text of many words').last();
  await long.getByText('Show the whole message').waitFor();
  assert.equal((await long.locator('.text').textContent()).length, 2000);
  await long.getByText('edited').waitFor();
  world.run('message', 'delete', id, '--yes');
  await said(page, 'This message was deleted.').waitFor();
  assert.equal(await page.locator('.said .edited:visible').count(), 0);
  // 60, one and 20, then two and one, of which one is gone
  const total = () => page.locator('[data-messages]').textContent();
  assert.equal(await total(), '83 messages');
  world.run('message', 'delete', root, '--yes');
  await page.waitForFunction(() => document.querySelectorAll('.gone').length === 2);
  assert.equal(await total(), '82 messages');

  // A new day begins with its name; nothing is read by looking.
  assert.ok(await page.locator('.day').count() > 2);
  assert.equal(JSON.parse(world.run('notifications', 'count', '--as', 'watcher', '-o', 'json')).unread > 20, true);

  // Older parts only say that there is more.
  await page.getByRole('link', { name: 'Older messages' }).click();
  await page.waitForURL('**/?before=*');
  assert.equal(await total(), '82 messages');
  await isLive(page);
  const shown = await page.locator('.said').count();
  send(world, 'live', 'news');
  await page.getByText('1 new ↓').waitFor();
  // A stream that begins anew earlier says it again, which counts nothing twice.
  await page.evaluate(() => {
    const { conversation, cursor } = document.querySelector('[data-conversation]').dataset;
    new BroadcastChannel('tidings-events').postMessage({ tab: 'another', conversation, place: cursor });
  });
  await isLive(page);
  assert.equal(await page.locator('.news').textContent(), '1 new ↓');
  assert.equal(await total(), '83 messages');
  assert.equal(await page.locator('.said').count(), shown);
  await page.getByText('1 new ↓').click();
  await said(page, 'news').waitFor();
  await visitor.leave();
}

// An older part, of which much is heard that it does not show
async function countsOnlyWhatIsNew(browser, world) {
  apply(world, talk('counted', 60));
  const visitor = await watch(browser, world, 'counted');
  const { page, place } = visitor;
  const news = page.locator('.news');
  await isLive(page);
  const { conversation, cursor } = await page.locator('[data-conversation]').evaluate(({ dataset }) => ({ ...dataset }));
  send(world, 'counted', 'said before');
  await said(page, 'said before').waitFor();
  await page.goto(`${place}?before=30`);
  await isLive(page);
  // Another tab is further behind, so that this one hears again what was there before it.
  await page.evaluate((from) => new BroadcastChannel('tidings-events').postMessage({ tab: 'another', ...from }), { conversation, place: cursor });
  await isLive(page);
  assert.ok(await news.isHidden());
  // A reply that is not shown, and then is no more
  const parent = world.run('message', 'list', 'counted', '--after', '4', '--limit', '1', '-o', 'ids').trim();
  const reply = world.run('message', 'send', 'counted', 'an answer', '--as', 'bob', '--reply-to', parent, '-o', 'ids').trim();
  await page.getByText('1 new ↓').waitFor();
  world.run('message', 'delete', reply, '--yes');
  await news.waitFor({ state: 'hidden' });
  assert.ok(await page.locator('#m5 .replies').isHidden());
  // What is not shown is counted all the same, and a deletion that is heard again counts once.
  const counts = (text) => page.waitForFunction((told) => document.querySelector('[data-messages]').textContent === told, text);
  await counts('61 messages');
  world.run('message', 'delete', world.run('message', 'list', 'counted', '--after', '39', '--limit', '1', '-o', 'ids').trim(), '--yes');
  await counts('60 messages');
  for (const reload of [false, true]) {
    if (reload) await page.reload();
    await page.evaluate((from) => new BroadcastChannel('tidings-events').postMessage({ tab: 'another', ...from }), { conversation, place: cursor });
    await isLive(page);
    await counts('60 messages');
  }
  // On the newest part a reply leads to its parent, though that is not shown.
  await page.goto(`${place}#end`);
  await isLive(page);
  world.run('message', 'send', 'counted', 'a late answer', '--as', 'bob', '--reply-to', parent);
  await said(page, 'a late answer').locator('.parent').click();
  await page.locator('#m5.target').waitFor();
  const { top, bottom } = await page.locator('#m5').evaluate((element) => element.getBoundingClientRect().toJSON());
  assert.ok(top >= 0 && bottom <= 720, `${top} to ${bottom}`);
  await visitor.leave();
}

// Who comes and goes takes nobody's place in what they read.
async function keepsThePlace(browser, world) {
  apply(world, talk('place', 60));
  const visitor = await watch(browser, world, 'place');
  const { page } = visitor;
  const news = page.locator('.news');
  const mark = () => page.evaluate(() => { window.isSame = true; });
  const isSame = () => page.evaluate(() => window.isSame === true);
  const readsOn = () => page.evaluate(() => [...document.querySelectorAll('.said')].find((item) => item.getBoundingClientRect().bottom > 0).id);
  await isLive(page);
  // At the end the page shows at once who takes part.
  await mark();
  world.run('conversation', 'add', 'place', 'carol');
  await page.waitForFunction(() => window.isSame === undefined);
  await page.getByText('4 participants').waitFor();
  // It has followed for long, and is read above the end.
  await isLive(page);
  for (let number = 0; number < 8; number += 1) send(world, 'place', `later ${number}.`);
  await said(page, 'later 7.').waitFor();
  await page.evaluate(() => scrollTo(0, 300));
  await page.waitForTimeout(200);
  const [read, before] = [await readsOn(), await page.evaluate(() => scrollY)];
  await mark();
  world.run('conversation', 'add', 'place', 'guest');
  await page.getByText('This page has changed').waitFor();
  assert.ok(await isSame());
  assert.equal(await page.evaluate(() => scrollY), before);
  await news.click();
  await page.waitForURL(`**/?at=${read.slice(1)}#${read}`);
  await page.getByText('5 participants').waitFor();
  assert.equal(await page.locator(`#${read}:target`).count(), 1);
  assert.ok([read, `m${read.slice(1) - 1}`].includes(await readsOn()));
  // What is deleted goes, and the place stays.
  await page.goto(`${visitor.place}#end`);
  await isLive(page);
  await page.evaluate(() => scrollTo(0, 300));
  await page.waitForTimeout(200);
  const [there] = [await readsOn(), await mark()];
  world.run('conversation', 'remove', 'place', 'guest');
  await page.waitForURL(`**/?at=${there.slice(1)}#${there}`);
  // What is typed is kept, and still it is said that the page changed.
  await page.goto(`${visitor.place}#end`);
  await isLive(page);
  await page.getByLabel('Search this conversation').fill('not yet');
  await mark();
  world.run('conversation', 'remove', 'place', 'carol');
  await page.getByText('This page has changed').waitFor();
  assert.ok(await isSame());
  assert.equal(await page.getByLabel('Search this conversation').inputValue(), 'not yet');
  await visitor.leave();
}

// What was said while the server was away comes when it is back, without a reload.
async function goesOnAfterwards(browser, world) {
  apply(world, talk('afterwards', 3));
  const visitor = await watch(browser, world, 'afterwards');
  const { page } = visitor;
  await isLive(page);
  await page.evaluate(() => { window.isSame = true; });
  await world.kill();
  send(world, 'afterwards', 'meanwhile');
  await world.start();
  await said(page, 'meanwhile').waitFor({ timeout: 40_000 });
  assert.ok(await page.evaluate(() => window.isSame));
  // What is gone is not shown any more.
  world.run('conversation', 'delete', 'afterwards', '--yes');
  await page.getByRole('heading', { name: 'Not found' }).waitFor();
  visitor.faults = visitor.faults.filter((fault) => !fault.includes('ERR_'));
  await visitor.leave();
}

async function twelveTabs(browser, world) {
  for (const name of ['tabs-one', 'tabs-two']) apply(world, talk(name, 2));
  const visitor = await watch(browser, world, 'tabs-one');
  // What the server counts, as soon as it knows of those that were closed
  const streams = async () => {
    const count = async () => Number(/event_listeners (\d+)/.exec(await (await fetch(`${world.url}/metrics`)).text())[1]);
    for (let round = 0; round < 50 && await count() > 1; round += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    return count();
  };
  const first = visitor.place;
  const id = world.run('conversation', 'list', '--search', 'tabs-two', '-o', 'ids').trim();
  const pages = await Promise.all(Array.from({ length: 12 }, async (_, number) => {
    const page = await visitor.context.newPage();
    await page.goto(number % 2 ? first : `/admin/conversations/${id}/`);
    return page;
  }));
  await visitor.page.close();
  await isLive(pages[0]);
  assert.equal(await streams(), 1);
  const all = async (text) => {
    for (const name of ['tabs-one', 'tabs-two']) send(world, name, text);
    await Promise.all(pages.map((page) => said(page, text).waitFor()));
  };
  await all('to all');
  // The one that listens for all is closed, whichever it is.
  for (const page of pages.splice(0, 6)) await page.close();
  await isLive(pages[0]);
  await all('to the others');
  for (const page of pages) {
    for (const text of ['to all', 'to the others']) assert.equal(await said(page, text).count(), 1);
  }
  assert.equal(await streams(), 1);
  await visitor.leave();
}

async function tour(browser, world, options) {
  const name = options.javaScriptEnabled === false ? 'tour-plain' : 'tour-scripts';
  apply(world, talk(name, 130, { title: `${HOSTILE.title} ${name}` }));
  const visitor = await watch(browser, world, name, options);
  const { page } = visitor;
  // From the list by the name to the conversation
  await page.goto('/admin/conversations/');
  await page.getByLabel('Name or title').fill(name);
  await visitor.press('Apply');
  await page.getByRole('link', { name: `${HOSTILE.title} ${name}` }).click();
  await page.waitForURL(`**${visitor.place}#end`);
  if (visitor.hasScripts) {
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.waitForURL('**/admin/search/');
    // Back to where one was
    await page.goBack();
    await page.waitForURL(`**${visitor.place}#end`);
    await page.waitForFunction(() => scrollY > 500);
  }
  // To a number, and around it
  await page.getByLabel('Go to message').fill('7');
  await visitor.press('Go');
  await page.locator('#m7.target').waitFor();
  const { top, bottom } = await page.locator('#m7').evaluate((element) => element.getBoundingClientRect().toJSON());
  assert.ok(top >= 0 && bottom <= 720, `${top} to ${bottom}`);
  await page.getByRole('link', { name: 'Newer messages' }).click();
  await page.locator('#m40').waitFor();
  // To what is searched for
  await page.getByLabel('Search this conversation').fill('"text 99"');
  await visitor.press('Search');
  await page.getByText('1 message found.').waitFor();
  await page.getByRole('link', { name: '#99' }).click();
  await page.locator('#m99.target').waitFor();
  // What was changed of one's own message, and making it as it was
  const id = send(world, name, 'see you at noon', 'watcher');
  world.run('message', 'edit', id, 'see them by noon', '--reason', HOSTILE.title);
  await page.goto(`${visitor.place}#end`);
  await said(page, 'see them by noon').getByRole('link', { name: 'edited' }).click();
  await page.locator('del', { hasText: 'you at' }).waitFor();
  await page.locator('ins', { hasText: 'them by' }).waitFor();
  assert.equal(await page.locator('del').last().evaluate((element) => getComputedStyle(element).textDecorationLine), 'line-through');
  assert.equal(await page.locator('ins').last().evaluate((element) => getComputedStyle(element).textDecorationLine), 'underline');
  await page.getByRole('button', { name: 'Restore revision 1' }).click();
  if (visitor.hasScripts) await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
  await visitor.sees('The revision is restored.');
  assert.ok(world.run('message', 'show', id).includes('see you at noon'));
  await page.getByRole('spinbutton', { name: 'From revision' }).fill('1');
  await page.getByRole('spinbutton', { name: 'To revision' }).fill('3');
  await visitor.press('Compare');
  await visitor.sees('Both revisions have the same text.');
  await visitor.leave();
}

async function looks(browser, world, pictures) {
  apply(world, talk('pictured', 12, { title: 'Release planning for the autumn' }));
  const root = world.run('message', 'list', 'pictured', '--limit', '1', '-o', 'ids').trim();
  world.run('message', 'send', 'pictured', '社内のお知らせ — مجموعة العمل 🎉', '--as', 'bob', '--reply-to', root);
  world.run('message', 'edit', root, 'text twelve of everything,\nwith a second line', '--reason', 'a slip');
  send(world, 'pictured', LONG);
  const second = world.run('message', 'send', 'pictured', 'gone soon', '--as', 'bob', '-o', 'ids').trim();
  world.run('message', 'send', 'pictured', 'an answer to what is gone', '--as', hostile('speaker'), '--reply-to', second);
  world.run('message', 'delete', second, '--yes');
  world.run('conversation', 'create', 'bob', 'watcher', '--name', 'nothing-said');
  const visitor = await watch(browser, world, 'pictured', { reducedMotion: 'reduce' });
  const { page, place } = visitor;
  const look = (name) => visitor.look(name, pictures);
  const at = async (address, name) => {
    await page.goto(address);
    await look(name);
  };
  await look('conversation');
  await at(`${place}?at=5`, 'conversation-at');
  await at(`${place}?at=14`, 'conversation-whole');
  await at(`${place}?at=500`, 'conversation-absent');
  await at(`${place}?thread=12`, 'conversation-thread');
  await page.goto(place);
  await page.locator('summary').click();
  await look('conversation-participants');
  await at(`${place}participants/`, 'participants');
  const empty = world.run('conversation', 'list', '--search', 'nothing-said', '-o', 'ids').trim();
  await at(`/admin/conversations/${empty}/`, 'conversation-empty');
  await at('/admin/conversations/', 'conversations');
  await at('/admin/conversations/?search=nothing-like-that', 'conversations-none');
  await at('/admin/conversations/?user=nobody', 'conversations-error');
  await at(`/admin/messages/${root}/history/`, 'history');
  const long = world.run('message', 'list', 'pictured', '--after', '13', '--limit', '1', '-o', 'ids').trim();
  for (const [from, to] of [['many', 'few'], ['at once', 'together']]) world.run('message', 'edit', long, LONG.replace(from, to));
  await at(`/admin/messages/${long}/history/`, 'history-long');
  await at(`/admin/messages/${second}/history/`, 'history-gone');
  await at('/admin/search/', 'search');
  await at('/admin/search/?q=text', 'search-found');
  await at('/admin/search/?q=nowhere-said', 'search-none');
  await visitor.leave();
}

module.exports = {
  'a conversation as it goes on': goesOn,
  'an older part of a conversation': countsOnlyWhatIsNew,
  'a conversation whose people come and go': keepsThePlace,
  'a conversation after the server was away': goesOnAfterwards,
  'twelve tabs with one stream': twelveTabs,
  'the conversations of others, with scripts': (browser, world) => tour(browser, world, {}),
  'the conversations of others, without scripts': (browser, world) => tour(browser, world, { javaScriptEnabled: false }),
  'the pages of conversations as they look': looks,
};
