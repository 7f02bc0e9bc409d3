// What scripts add to pages that work without them.

const log = document.querySelector('[data-conversation]');

// Shows what is at this address now. A page that answered a form is not one to reload: that would send the form again; of a
// conversation the place is kept.
const renew = () => (log ? location.reload() : location.replace(location.pathname + location.search));

// Whether something was typed or chosen that is not sent yet
function isTypedIn() {
  const fields = [...document.querySelectorAll('main :is(input:not([type=hidden]), textarea, option)')];
  return fields.some((field) => field.value !== (field.defaultValue ?? field.value)
    || Boolean(field.checked ?? field.selected) !== Boolean(field.defaultChecked ?? field.defaultSelected));
}

// The tabs of a browser agree on who is logged in: after a log-out, or a log-in as somebody else, none shows what was there. A
// page says it that knows: it has the viewer's id, or nothing after a log-out.
const { viewer } = document.documentElement.dataset;
const tabs = new BroadcastChannel('tidings');
tabs.addEventListener('message', ({ data }) => {
  if (data !== (viewer ?? '') && !isTypedIn()) renew();
});
if (viewer !== undefined) tabs.postMessage(viewer);

// Events come to one tab, which holds the lock, for all of them: a browser has few connections to a server. They end with the
// session, and then every tab is led to the log-in; one that keeps what was typed gives the lock to another.
const KINDS = ['message.created', 'message.edited', 'message.deleted', 'conversation.updated', 'conversation.deleted',
  'participant.added', 'participant.removed', 'reset', 'bookmark'];
if (viewer) navigator.locks?.request('tidings-events', () => new Promise(listen));

function listen(giveUp) {
  const station = new BroadcastChannel('tidings-events');
  // What each tab follows, where all of them are in the log, and what was asked for last
  const followed = new Map();
  let [places, asked, events, opening, heard] = [new Set(), [], null, 0, 0];

  const open = () => {
    events?.close();
    opening = 0;
    asked = [...new Set(followed.values())];
    // The earliest of the places counts: what somebody hears twice does no harm.
    const query = asked.length ? [...asked.map((id) => ['conversation', id]), ...[...places].map((place) => ['since', place])] : [];
    events = new EventSource(`/events/?${new URLSearchParams(query)}`);
    heard = Date.now();
    KINDS.forEach((kind) => events.addEventListener(kind, tell));
    events.addEventListener('error', fail);
  };
  const tell = ({ type, data, lastEventId }) => {
    heard = Date.now();
    // What a tab has said since the stream was opened was not asked for yet: it begins again from the earlier places.
    if (!opening) places = new Set([lastEventId]);
    station.postMessage({ type, event: JSON.parse(data), place: lastEventId, asked });
  };
  const fail = async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    const answer = await fetch('/account/', { method: 'HEAD', redirect: 'manual' }).catch(() => null);
    if (answer?.type !== 'opaqueredirect') {
      // What a tab follows may be gone, or the server.
      station.postMessage({ type: 'lost' });
      return setTimeout(open, 5000);
    }
    tabs.postMessage('');
    if (!isTypedIn()) return renew();
    station.close();
    clearInterval(watch);
    giveUp();
  };
  // A connection that slept says nothing any more, not even that it is broken.
  const watch = setInterval(() => {
    if (Date.now() - heard > 40_000) open();
  }, 5000);
  station.addEventListener('message', ({ data: { tab, conversation, place } }) => {
    if (!conversation) return followed.delete(tab);
    followed.set(tab, conversation);
    places.add(place);
    clearTimeout(opening);
    opening = setTimeout(open, 20);
  });
  // The tabs of a leader that was closed say it again.
  station.postMessage({ type: 'who' });
  open();
}

// A conversation goes on as it is read.
if (log && viewer) follow(log, log.querySelector('ol'));

function follow({ dataset }, list) {
  const { conversation } = dataset;
  const news = document.querySelector('.news');
  const end = document.getElementById('end');
  const channel = new BroadcastChannel('tidings-events');
  const tab = Math.random();
  let [place, isAtEnd, isChanged] = [dataset.cursor, false, false];
  // The new messages that were not looked at
  const unseen = new Set();
  // The number of the last message that there was, whether it is shown or not; it may be heard of again
  let last = Number(dataset.last);
  // What was counted since the page was made
  const counted = new Set();
  const total = document.querySelector('[data-messages]');

  const say = () => channel.postMessage({ tab, conversation, place });
  const find = (id) => list.querySelector(`[data-id="${id}"]`);
  const announce = () => {
    news.hidden = !isChanged && unseen.size === 0;
    news.textContent = isChanged ? 'This page has changed: show it anew' : `${unseen.size} new ↓`;
  };
  // Shows the page anew, with what is read where it is: of the newest messages others may be the newest by now.
  const renewHere = () => {
    const read = [...list.querySelectorAll('.said')].find((item) => item.getBoundingClientRect().bottom > 0);
    const at = read && `?at=${read.id.slice(1)}`;
    if (isAtEnd || dataset.end === undefined || !at || at === location.search) renew();
    else location.replace(`${at}#${read.id}`);
  };
  // What changes beside the messages waits for whoever reads above the end, or has typed something. What may be deleted, as with
  // an account that takes part no more, goes at once.
  const change = (isDeletion) => {
    if (!isTypedIn() && (isAtEnd || isDeletion)) return renewHere();
    isChanged = true;
    announce();
  };
  news.addEventListener('click', (event) => {
    if (!isChanged) return;
    event.preventDefault();
    renewHere();
  });

  const fill = (item, { message_id, number, sender, receiver, content, timestamp, edited, parent_message, deleted }) => {
    const part = (name) => item.querySelector(`.${name}`);
    const show = (name, isShown, text, href) => {
      const found = part(name);
      found.hidden = !isShown;
      if (isShown && text) (found.querySelector('bdi') ?? found).textContent = text;
      if (isShown && href) found.setAttribute('href', href);
    };
    const parent = parent_message && find(parent_message);
    const at = (name) => `?at=${name}#m${name}`;
    const isCut = [...content].length > 2000;
    item.dataset.id = message_id;
    item.classList.toggle('gone', deleted);
    show('by', sender, sender?.username, `/admin/users/${sender?.user_id}/`);
    show('edited', edited && !deleted, 'edited', `/admin/messages/${message_id}/history/`);
    show('whole', isCut && !item.matches('.target'), 'Show the whole message', at(number));
    part('text').textContent = deleted ? 'This message was deleted.' : isCut && !item.matches('.target') ? [...content].slice(0, 2000).join('') : content;
    // Of a message that is gone nothing else is left.
    if (!number || item.id) return;
    item.id = `m${number}`;
    item.querySelector('time').dateTime = timestamp;
    show('number', true, `#${number}`, at(number));
    show('to', receiver && dataset.group !== undefined, receiver?.username);
    part('replies').href = `?thread=${number}`;
    show('parent', parent_message, parent ? `reply to ${parent.querySelector('.number').textContent}` : 'reply to an earlier message', parent ? `#${parent.id}` : `?at=${parent_message}#found`);
    part('parent').dataset.parent = parent_message ?? '';
  };
  const reply = (id, more) => {
    const link = id && find(id)?.querySelector('.replies');
    if (!link) return;
    const replies = Math.max(0, Number(link.dataset.count) + more);
    link.dataset.count = replies;
    link.hidden = replies === 0;
    link.textContent = replies === 1 ? '1 reply' : `${replies} replies`;
  };

  // How many messages there are: each is sent once and deleted once, however often it is heard, and what happened before the page
  // was made is in its number.
  const count = (type, { at, message }) => {
    const what = type + message.message_id;
    if (type === 'message.edited' || at <= dataset.reached || counted.has(what)) return;
    counted.add(what);
    const messages = Number(total.dataset.messages) + (type === 'message.created' ? 1 : -1);
    total.dataset.messages = messages;
    total.textContent = `${messages.toLocaleString('en')} ${messages === 1 ? 'message' : 'messages'}`;
  };
  const hear = (type, message) => {
    const { message_id } = message;
    const item = find(message_id);
    if (message.deleted && unseen.delete(message_id)) announce();
    if (item) {
      if (message.deleted && !item.matches('.gone')) reply(item.querySelector('.parent').dataset.parent, -1);
      return fill(item, message);
    }
    if (type !== 'message.created' || message.deleted || message.number <= last) return;
    last = message.number;
    // A page of very much begins anew.
    if (list.childElementCount > 2000) return change();
    unseen.add(message_id);
    // One of what is older says only that there is more. Its numbers of replies are those of when it was made: of a reply that
    // it does not show, it would not hear that it was deleted.
    if (dataset.end === undefined) return announce();
    reply(message.parent_message, 1);
    const added = document.getElementById('message').content.firstElementChild.cloneNode(true);
    fill(added, message);
    list.append(added);
    if (!isAtEnd) return announce();
    unseen.clear();
    end.scrollIntoView({ block: 'end' });
  };

  channel.addEventListener('message', ({ data: { type, event, place: reached, asked } }) => {
    if (type === 'who') return say();
    if (type === 'lost') return fetch(location.href, { method: 'HEAD' }).then(({ status }) => [403, 404].includes(status) && renew()).catch(() => {});
    if (!asked?.includes(conversation)) return;
    place = reached;
    if (type === 'reset') return renew();
    if (event.conversation !== conversation) return;
    if (type.startsWith('message.') && event.message) {
      count(type, event);
      hear(type, event.message);
    } else change(/(deleted|removed)$/.test(type));
  });
  new IntersectionObserver(([{ isIntersecting }]) => {
    isAtEnd = isIntersecting;
    if (!isAtEnd || dataset.end === undefined) return;
    unseen.clear();
    announce();
  }, { rootMargin: '80px' }).observe(end);
  addEventListener('pagehide', () => channel.postMessage({ tab }));
  say();
}

// Back must not show what a log-out has ended. What was typed and not sent is kept, for whoever is still logged in.
addEventListener('pageshow', async (event) => {
  if (!event.persisted) return;
  if (!viewer || sent.size > 0 || !isTypedIn()) return renew();
  const root = document.documentElement;
  root.hidden = true;
  const text = await fetch('/account/', { redirect: 'manual' }).then((answer) => answer.text()).catch(() => '');
  if (!text.includes(`data-viewer="${viewer}"`)) return renew();
  root.hidden = false;
});

// What the last form did is said once: not again when the page is reloaded.
const here = new URL(location.href);
if (here.searchParams.has('done')) {
  here.searchParams.delete('done');
  history.replaceState(null, '', here);
}

// A form is sent once, however often its button is pressed; and again where the answer was not waited for.
const sent = new Set();
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (form.method === 'dialog') return;
  if (sent.has(form)) return event.preventDefault();
  const question = event.submitter?.dataset.asks ? event.submitter.dataset : form.dataset;
  if (question.asks && !form.dataset.answered) {
    event.preventDefault();
    if (await ask(question)) {
      form.dataset.answered = 'yes';
      form.requestSubmit(event.submitter);
      delete form.dataset.answered;
    }
    return;
  }
  form.querySelectorAll('[data-shows]').forEach((button) => show(button, false));
  sent.add(form);
  event.submitter?.setAttribute('aria-disabled', 'true');
  setTimeout(() => {
    sent.delete(form);
    event.submitter?.removeAttribute('aria-disabled');
  }, 5000);
});

// Opens a copy of a dialog of this page; returns what was answered.
function open(id, fill) {
  const dialog = document.getElementById(id).content.firstElementChild.cloneNode(true);
  fill(dialog);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener('close', () => {
    dialog.remove();
    resolve(dialog.returnValue);
  }));
}

function ask({ asks, detail, answer }) {
  return open('question', (dialog) => {
    dialog.querySelector('h2').textContent = asks;
    dialog.querySelector('p').textContent = detail;
    dialog.querySelector('.primary').textContent = answer;
  });
}

// Passwords can be looked at while they are typed, and are hidden again before they are sent.
document.addEventListener('click', ({ target }) => {
  const button = target.closest?.('[data-shows]');
  if (button) show(button, document.getElementById(button.dataset.shows).type === 'password');
});

function show(button, isShown) {
  document.getElementById(button.dataset.shows).type = isShown ? 'text' : 'password';
  button.firstChild.data = isShown ? 'Hide' : 'Show';
}

// Keyboard shortcuts: of single keys, so they can be switched off (WCAG 2.1.4).
const areOn = () => localStorage.getItem('keys') !== 'off';
let before = '';
document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || !viewer || !areOn() || document.querySelector('dialog[open]')) return;
  if (target.closest('input:not([type=checkbox]), select, textarea')) return;
  const isSecond = before === 'g';
  before = isSecond ? '' : key;
  if (key === '?') showKeys();
  else if (isSecond) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
});

document.querySelector('[data-opens-keys]')?.addEventListener('click', showKeys);

function showKeys() {
  open('keys', (dialog) => {
    const box = dialog.querySelector('[data-keys]');
    box.checked = areOn();
    box.addEventListener('change', () => localStorage.setItem('keys', box.checked ? 'on' : 'off'));
  });
}
