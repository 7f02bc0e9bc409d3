// What scripts add to pages that work without them.

// The tabs of a browser agree on who is logged in: after a log-out, or a log-in as somebody else, none shows what was there. A
// page says it that knows: it has the viewer's id, or nothing after a log-out.
const { viewer } = document.documentElement.dataset;
const tabs = new BroadcastChannel('tidings');
tabs.addEventListener('message', ({ data }) => {
  if (data !== (viewer ?? '') && !isTypedIn()) location.reload();
});
if (viewer !== undefined) tabs.postMessage(viewer);

// Events come to one tab, which holds the lock, for all of them: a browser has few connections to a server. They end with the
// session, and then every tab is led to the log-in.
if (viewer) navigator.locks?.request('tidings-events', () => new Promise(listen));

function listen() {
  const events = new EventSource('/events/');
  events.addEventListener('error', async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    const answer = await fetch('/account/', { method: 'HEAD', redirect: 'manual' }).catch(() => null);
    if (answer?.type !== 'opaqueredirect') return setTimeout(listen, 30_000);
    tabs.postMessage('');
    if (!isTypedIn()) location.reload();
  });
}

// Back must not show what a log-out has ended.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});

// What the last form did is said once: not again when the page is reloaded.
const here = new URL(location.href);
if (here.searchParams.has('done')) {
  here.searchParams.delete('done');
  history.replaceState(null, '', here);
}

const isTypedIn = () => [...document.querySelectorAll('main input:not([type=hidden]), main textarea')]
  .some((field) => field.value !== field.defaultValue);

// A form is sent once, however often its button is pressed.
const sent = new WeakSet();
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (form.method === 'dialog') return;
  if (sent.has(form)) return event.preventDefault();
  if (form.dataset.asks && !form.dataset.answered) {
    event.preventDefault();
    if (await ask(form.dataset)) {
      form.dataset.answered = 'yes';
      form.requestSubmit(event.submitter);
    }
    return;
  }
  sent.add(form);
  event.submitter?.setAttribute('aria-disabled', 'true');
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
  if (!button) return;
  const field = document.getElementById(button.dataset.shows);
  const isShown = field.type === 'password';
  field.type = isShown ? 'text' : 'password';
  button.setAttribute('aria-pressed', isShown);
  button.firstChild.data = isShown ? 'Hide' : 'Show';
});

// Keyboard shortcuts: of single keys, so they can be switched off (WCAG 2.1.4).
const places = { a: '/account/' };
const areOn = () => localStorage.getItem('keys') !== 'off';
let before = '';
document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || !viewer || document.querySelector('dialog[open]')) return;
  if (target.closest('input:not([type=checkbox]), select, textarea')) return;
  const isSecond = before === 'g';
  before = isSecond ? '' : key;
  if (key === '?') showKeys();
  else if (areOn() && isSecond && places[key]) location.assign(places[key]);
});

function showKeys() {
  open('keys', (dialog) => {
    const box = dialog.querySelector('[data-keys]');
    box.checked = areOn();
    box.addEventListener('change', () => localStorage.setItem('keys', box.checked ? 'on' : 'off'));
  });
}
