// What scripts add to pages that work without them.

// Shows what is at this address now. A page that answered a form is not one to reload: that would send the form again.
const renew = () => location.replace(location.pathname + location.search);

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
if (viewer) navigator.locks?.request('tidings-events', () => new Promise(listen));

function listen(giveUp) {
  const events = new EventSource('/events/');
  events.addEventListener('error', async () => {
    if (events.readyState !== EventSource.CLOSED) return;
    const answer = await fetch('/account/', { method: 'HEAD', redirect: 'manual' }).catch(() => null);
    if (answer?.type !== 'opaqueredirect') return setTimeout(listen, 30_000, giveUp);
    tabs.postMessage('');
    if (isTypedIn()) giveUp();
    else renew();
  });
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
  if (form.dataset.asks && !form.dataset.answered) {
    event.preventDefault();
    if (await ask(form.dataset)) {
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
const places = { a: '/account/' };
const areOn = () => localStorage.getItem('keys') !== 'off';
let before = '';
document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || !viewer || !areOn() || document.querySelector('dialog[open]')) return;
  if (target.closest('input:not([type=checkbox]), select, textarea')) return;
  const isSecond = before === 'g';
  before = isSecond ? '' : key;
  if (key === '?') showKeys();
  else if (isSecond && places[key]) location.assign(places[key]);
});

document.querySelector('[data-opens-keys]')?.addEventListener('click', showKeys);

function showKeys() {
  open('keys', (dialog) => {
    const box = dialog.querySelector('[data-keys]');
    box.checked = areOn();
    box.addEventListener('change', () => localStorage.setItem('keys', box.checked ? 'on' : 'off'));
  });
}
