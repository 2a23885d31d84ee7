// Keeps the live part of a page up to date: whenever the server says that something is new, the
// same page is fetched again and its live part is put in place. Nothing is made here: texts come
// from the page, escaped by the server. Without script the page asks anew by itself, or by a link.
'use strict';
for (const part of document.querySelectorAll('[data-live]')) {
  let isBusy = false;
  let isStale = false;
  const renew = async () => {
    isStale = true;
    if (isBusy || document.hidden) return;
    isBusy = true;
    try {
      while (isStale) {
        isStale = false;
        const answer = await fetch(location.href, {
          // The page renews itself: that is no sign of a person.
          headers: { accept: 'text/html', 'x-relais-listening': '1' },
        });
        if (!answer.ok || answer.redirected) break;
        const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
        const found = fresh.getElementById(part.id);
        if (!found) break;
        const focused = part.contains(document.activeElement) && document.activeElement.id;
        part.replaceChildren(...found.childNodes);
        if (focused) document.getElementById(focused)?.focus();
      }
    } catch {
      // The server is away: the stream begins anew when it is back, and says so.
    }
    isBusy = false;
  };
  const source = new EventSource(part.dataset.live);
  source.addEventListener('message', renew);
  document.addEventListener('visibilitychange', () => { if (isStale) renew(); });
}
