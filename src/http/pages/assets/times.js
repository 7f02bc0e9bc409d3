// Before anything is painted: times are written in the visitor's zone, so that nothing moves afterwards.
'use strict';
document.documentElement.classList.add('scripts');
{
  const short = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
  const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  const whole = new Intl.DateTimeFormat('en-GB', {
    weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short',
  });
  const inWords = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full' });
  const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' });
  const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  const written = new WeakMap();

  const relative = (date, now) => {
    const seconds = Math.round((now - date) / 1000);
    if (seconds < 0 || seconds >= 7 * 86400) return (Math.abs(seconds) < 300 * 86400 ? short : day).format(date);
    if (seconds < 45) return 'just now';
    if (seconds < 45 * 60) return ago.format(-Math.max(1, Math.round(seconds / 60)), 'minute');
    if (seconds < 22 * 3600) return ago.format(-Math.max(1, Math.round(seconds / 3600)), 'hour');
    return ago.format(-Math.max(1, Math.round(seconds / 86400)), 'day');
  };
  const write = (time) => {
    const date = new Date(time.dateTime);
    if (isNaN(date)) return;
    // Of messages the day stands above them.
    const said = time.closest('.said');
    const text = said ? clock.format(date) : relative(date, Date.now());
    if (time.firstChild && time.textContent !== text) time.textContent = text;
    if (Number(written.get(time)) === Number(date)) return;
    time.dataset.whole = whole.format(date);
    written.set(time, date);
    if (said) separate(said, inWords.format(date));
  };
  // Between messages of two days, as the visitor counts them, stands the second day.
  const separate = (said, day) => {
    const above = said.previousElementSibling;
    let line = above?.matches('.day') ? above : null;
    const last = line ? line.previousElementSibling : above;
    if (said.dataset.day !== day) said.dataset.day = day;
    if (last?.dataset.day === day) return line?.remove();
    if (!line) {
      line = document.createElement('li');
      line.className = 'day';
      line.append(document.createElement('span'));
      said.before(line);
    }
    line.firstChild.textContent = day;
  };
  const found = (node) => {
    if (node.nodeName === 'TIME') write(node);
    else if (node.nodeType === Node.ELEMENT_NODE) node.querySelectorAll('time[datetime]').forEach(write);
    else if (node.parentNode?.nodeName === 'TIME') write(node.parentNode);
  };
  // The parser reports what it has read before the browser paints.
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(found)))
    .observe(document, { childList: true, subtree: true });
  // What a time shows where the focus or the pointer is stays on the screen.
  for (const kind of ['focusin', 'pointerover']) {
    document.addEventListener(kind, ({ target }) => {
      if (target.dataset?.whole) target.toggleAttribute('data-late', target.getBoundingClientRect().left > innerWidth - 320);
    });
  }
  setInterval(() => document.querySelectorAll('time[datetime]').forEach(write), 30_000);
}
