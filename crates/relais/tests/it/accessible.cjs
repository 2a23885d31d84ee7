// Goes from the home page through every link of the admin centre, in both languages and both colour
// schemes, and holds axe-core's rules (WCAG 2.2 A and AA), texts a third longer, and 320 pixels of
// width against each page; keeps a picture of each, wide and narrow, in both languages. Then adds a
// device with the keyboard alone. Prints what was wrong as JSON. Arguments: link, folder for
// pictures.
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 320, height: 640 }; // WCAG 2.2 §1.4.10: 1280 at 400 %
const PAGES_MAX = 150;
const TABS_MAX = 120;

// Files to keep, live streams and the way out are no pages.
const IS_PAGE = /^\/(?!api\/|assets\/|sign-out)(?!.*\.(csv|json|pdf|png|eml|xml|txt|ics|toml)(\?|$))(?!.*\/events)/;

const SPAN = ['since', 'until'];

// The same page with other filters or another row is the same page.
function kind(path) {
  const [place, query] = path.split('?');
  const names = query ? [...new URLSearchParams(query).keys()].filter((name) => !SPAN.includes(name)).sort().join('&') : '';
  return place.replace(/[0-9A-Z]{5,}|[0-9a-f]{16,}|\d+/g, '*') + (names ? `?${names}` : '');
}

// Each text a third longer, as German or Finnish would be; figures and code stay what they are.
function lengthen() {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    if (text.parentElement.closest('code, pre, script, style, textarea, svg, time')) continue;
    const words = text.data.trim();
    if (!/[a-z]{2}/i.test(words)) continue;
    text.data += ` ${'ŵõŕđ '.repeat(Math.ceil((words.length * 0.3) / 5)).trim()}`;
  }
}

async function judge(page, name, wrong) {
  await page.evaluate(axe);
  const found = await page.evaluate((values) => axe.run(document, {
    runOnly: { type: 'tag', values }, resultTypes: ['violations'],
  }), RULES);
  for (const violation of found.violations) {
    const where = violation.nodes.slice(0, 3).map((node) => `${node.target.join(' ')}`).join('; ');
    const why = violation.nodes[0].failureSummary.split('\n').slice(1, 3).join(' ').trim();
    wrong.push(`${name}: ${violation.id}: ${where}: ${why}`);
  }
}

// No part of a page may be cut off or stand outside of it.
async function fits(page, name, width, wrong) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) wrong.push(`${name}: ${wide} of ${width} pixels wide`);
}

// Every page that links lead to, by its kind.
async function crawl(page, base) {
  const seen = new Map([['/', '/']]);
  const left = ['/'];
  while (left.length && seen.size < PAGES_MAX) {
    const path = left.shift();
    await page.goto(base + path);
    const links = await page.$$eval('a[href]', (all) => all.map((a) => a.getAttribute('href')));
    for (const link of links.map((one) => new URL(one, base + path)).filter((one) => one.origin === base)) {
      const found = link.pathname + link.search;
      if (!IS_PAGE.test(found) || seen.has(kind(found))) continue;
      seen.set(kind(found), found);
      left.push(found);
    }
  }
  return [...seen.values()];
}

// Presses Tab until the focus is on what is looked for, and shows itself.
async function tabTo(page, selector, wrong) {
  for (let pressed = 0; pressed < TABS_MAX; pressed += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate((wanted) => {
      const here = document.activeElement;
      const style = getComputedStyle(here);
      const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none';
      return { there: here.matches(wanted), shown, html: here.outerHTML.slice(0, 80) };
    }, selector);
    if (!at.shown) wrong.push(`${page.url()}: the focus cannot be seen on ${at.html}`);
    if (at.there) return;
  }
  throw new Error(`${page.url()}: ${selector} is not reached by Tab`);
}

async function byKeyboard(page, base, wrong) {
  const type = async (selector, text) => {
    await tabTo(page, selector, wrong);
    await page.keyboard.type(text);
  };
  const press = async (selector, next) => {
    await tabTo(page, selector, wrong);
    const moved = page.waitForURL(next);
    await page.keyboard.press('Enter');
    await moved;
  };
  await page.goto(`${base}/`);
  // The first stop of every page leads past the navigation.
  await page.keyboard.press('Tab');
  const skips = await page.evaluate(() => document.activeElement.getAttribute('href'));
  if (!/^#/.test(skips || '')) wrong.push('the first Tab does not offer to skip the navigation');
  await page.goto(`${base}/add-device`);
  await press('main form button.main', /identify$/);
  await type('#name', 'Keyboard');
  await type('#sender_ip_addresses', '10.1.7.7');
  for (const step of ['senders', 'recipients', 'security', 'delivery', 'review']) {
    await press('button[value=next]', new RegExp(`${step}$`));
  }
  await press('button[value=save]', /connectors\/inbound/);
}

async function walk(link, folder) {
  const base = new URL(link).origin;
  const wrong = [];
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  const context = await browser.newContext({ locale: 'en-GB', viewport: WIDE });
  const page = await context.newPage();
  page.on('console', (message) => wrong.push(`${page.url()}: ${message.text()}`));
  await page.goto(link);
  await judge(page, 'set-up link', wrong);
  await page.fill('#name', 'anna');
  await page.fill('#password', 'correct horse battery');
  await page.fill('#again', 'correct horse battery');
  await page.click('main button');
  await page.waitForURL((url) => url.pathname !== '/setup');
  const paths = await crawl(page, base);
  for (const [language, colorScheme] of [['en', 'light'], ['fr', 'dark']]) {
    await page.emulateMedia({ colorScheme });
    await page.goto(base);
    await page.click(`.languages button[value=${language}]`);
    await page.waitForSelector(`html[lang=${language}]`);
    for (const path of paths) {
      const name = `${language} ${path}`;
      await page.setViewportSize(WIDE);
      const answer = await page.goto(base + path);
      if (answer.status() !== 200) wrong.push(`${name}: ${answer.status()}`);
      const file = `${language}${path.replaceAll(/[^a-z0-9]+/gi, '_').slice(0, 80)}`;
      await page.screenshot({ path: `${folder}/${file}.png`, fullPage: true });
      await judge(page, name, wrong);
      await page.evaluate(lengthen);
      await fits(page, `${name}, longer`, WIDE.width, wrong);
      await page.setViewportSize(NARROW);
      await fits(page, `${name}, longer and narrow`, NARROW.width, wrong);
      await page.screenshot({ path: `${folder}/narrow_${file}.png`, fullPage: true });
    }
  }
  await page.setViewportSize(WIDE);
  await page.goto(`${base}/reports`);
  for (const button of await page.locator('[data-zoom]:not([hidden]) button[aria-expanded]').all()) await button.click();
  await page.locator('[data-zoom] canvas').first().waitFor();
  await judge(page, 'reports, looked at closer', wrong);
  await page.screenshot({ path: `${folder}/reports_closer.png`, fullPage: true });
  await page.setViewportSize(NARROW);
  await fits(page, 'reports, looked at closer and narrow', NARROW.width, wrong);
  await page.setViewportSize(WIDE);
  await byKeyboard(page, base, wrong);
  await browser.close();
  return { wrong, pages: paths.length };
}

walk(process.argv[2], process.argv[3]).then((found) => {
  console.log(JSON.stringify(found));
  process.exit(found.wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
