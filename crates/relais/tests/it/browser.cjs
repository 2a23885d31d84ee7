// Sets up the first administrator, walks through all pages in both languages, holds one message,
// looks at dark and at narrow pages. Prints what was wrong as JSON. Arguments: link, folder.
const { chromium } = require('playwright-core');

const PAGES = ['/', '/trace', '/trace?live=1', '/reports', '/devices', '/queue', '/attempts', '/domains', '/domains/contoso.test',
  '/connectors/inbound', '/connectors/inbound/contoso/Printers', '/connectors/outbound', '/account'];
const NARROW = 320; // WCAG 2.2 §1.4.10, in CSS pixels: 1280 at 400 %

async function walk(link, folder) {
  const base = new URL(link).origin;
  const wrong = [];
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  const context = await browser.newContext({ locale: 'fr-FR', viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.on('console', (message) => wrong.push(`${page.url()}: ${message.text()}`));
  page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`));
  page.on('requestfailed', (request) => {
    const because = request.failure().errorText;
    // The mark of the tab is still being fetched when the next page is asked for.
    if (because !== 'net::ERR_ABORTED') wrong.push(`${request.url()}: ${because}`);
  });
  const shoot = (name) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  const visit = async (path, prefix) => {
    await page.goto(base + path);
    if (await page.locator('h1').count() !== 1) wrong.push(`${path}: not one heading`);
    await shoot(prefix + path.replaceAll(/[/?=]/g, '_'));
  };

  await page.goto(link);
  await shoot('setup');
  await page.fill('#name', 'anna');
  await page.fill('#password', 'correct horse battery');
  await page.fill('#again', 'correct horse battery');
  await page.click('main button');
  await page.waitForURL(`${base}/`);
  for (const language of ['fr', 'en']) {
    await page.click(`.languages button[value=${language}]`);
    await page.waitForSelector(`html[lang=${language}]`);
    for (const path of PAGES) await visit(path, language);
    await page.goto(`${base}/trace`);
    await page.click('tbody a >> nth=0');
    await shoot(`${language}_story`);
  }
  await page.goto(`${base}/queue`);
  await page.check('tbody input >> nth=0');
  await page.click('button[value=hold]');
  await shoot('confirm');
  await page.click('main form.acts button');
  await page.waitForURL(/done=hold/);
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const path of PAGES) await visit(path, 'dark');
  await page.setViewportSize({ width: NARROW, height: 640 });
  for (const path of PAGES) {
    await visit(path, 'narrow');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > NARROW) wrong.push(`${path}: ${wide} pixels wide`);
  }
  await browser.close();
  return wrong;
}

walk(process.argv[2], process.argv[3]).then((wrong) => {
  console.log(JSON.stringify(wrong));
  process.exit(wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
