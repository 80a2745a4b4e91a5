// Renews the main part of the page when the agent tells an event, and once a minute for what no event
// tells: sessions, and how full pools are. A page that nobody looks at asks for nothing.
'use strict';

(() => {
  const idle = 60e3; // milliseconds between renewals while nothing happens
  const busy = 5e3; // while jobs run
  const soon = 3e3; // after a page that is old: the agent reads the node anew meanwhile
  const together = 300; // events that are told within this time renew the page once
  const apart = 2e3; // at least, between two renewals

  const state = document.getElementById('state');
  const news = document.getElementById('news');
  const current = () => document.getElementById('live');

  let stream, timer, due = 0, last = 0, wait = soon, running = false, lost = false;
  let told = [];

  function show(text, kind) {
    if (state.textContent !== text) state.textContent = text;
    state.className = 'state ' + kind;
  }

  // renewIn renews the page after some milliseconds, or earlier if that is planned already.
  function renewIn(delay) {
    const at = Math.max(Date.now() + delay, last + apart);
    if (timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(renew, at - Date.now());
  }

  function nextDelay() {
    const live = current();
    if ('busy' in live.dataset) return busy;
    wait = 'stale' in live.dataset ? Math.min(idle, wait * 2) : soon;
    return 'stale' in live.dataset ? wait : idle;
  }

  async function renew() {
    timer = undefined;
    if (running || document.hidden) return;
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && current().contains(selection.anchorNode)) {
      renewIn(busy); // somebody marks text to copy it
      return;
    }
    running = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: 'text/html' }, cache: 'no-store' });
      const page = new DOMParser().parseFromString(await response.text(), 'text/html');
      const next = page.getElementById('live');
      if (!next) throw new Error('status ' + response.status);
      replace(next);
      document.title = page.title;
      announce();
      if (stream && stream.readyState === EventSource.OPEN) show('Live', 'on');
    } catch {
      show('No answer from the agent: this page is old', 'off');
    } finally {
      running = false;
      last = Date.now();
      renewIn(nextDelay());
    }
  }

  // replace keeps the keyboard where it is: on the same link, if that is still there.
  function replace(next) {
    const live = current();
    const key = (e) => e.getAttribute('href') || e.id;
    const focused = live.contains(document.activeElement) ? document.activeElement : undefined;
    const same = (root, of) => [...root.querySelectorAll('a')].filter((e) => key(e) === of);
    const place = focused ? same(live, key(focused)).indexOf(focused) : 0;
    live.replaceWith(document.adoptNode(next));
    if (!focused) return;
    const found = same(next, key(focused));
    (found[place] || found[0] || document.getElementById('main')).focus({ preventScroll: true });
  }

  // announce says what has happened, for those who do not see what changed.
  function announce() {
    if (told.length === 0) return;
    const e = told[told.length - 1];
    const what = e.type === 'Changed' ? e.phase + ', ' + e.reason : e.type === 'Deleted' ? 'deleted' : 'drift corrected';
    const text = e.kind + '/' + e.name + ': ' + what;
    news.textContent = told.length === 1 ? text : told.length + ' events, the last one ' + text;
    told = [];
  }

  function listen() {
    if (document.hidden || (stream && stream.readyState !== EventSource.CLOSED)) return;
    stream = new EventSource('/v1/events?since=' + encodeURIComponent(current().dataset.since));
    stream.onopen = () => {
      show('Live', 'on');
      renewIn(lost ? 0 : nextDelay());
      lost = false;
    };
    stream.onmessage = (message) => {
      told.push(JSON.parse(message.data));
      renewIn(together);
    };
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) { // refused: there are many clients
        show('Renewed every minute', 'on');
        setTimeout(listen, idle);
      } else {
        lost = true;
        show('Connection lost: this page is old', 'off');
      }
    };
  }

  // A browser has few connections to one server: a page that nobody sees has none.
  function rest() {
    if (stream) stream.close();
    clearTimeout(timer);
    timer = undefined;
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return rest();
    listen();
    renewIn(0);
  });
  window.addEventListener('pagehide', rest);
  window.addEventListener('pageshow', (e) => { if (e.persisted) { listen(); renewIn(0); } });
  listen();
})();
