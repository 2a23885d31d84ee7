// A person looks at the printer that a trigger holds, and at what the trigger would have found,
// releases it with one click, and stops and releases the connector by the panic switch; in French,
// then in English. Prints what was wrong as JSON. Arguments: link, folder.
const { chromium } = require('playwright-core');

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
  const shoot = (name) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
  const expect = async (what, locator) => {
    const found = await locator.first().waitFor({ timeout: 10_000 }).then(() => true, () => false);
    if (!found) wrong.push(`${page.url()}: no ${what}`);
  };
  await page.goto(link);
  await page.fill('#name', 'anna');
  await page.fill('#password', 'correct horse battery');
  await page.fill('#again', 'correct horse battery');
  await page.click('main button');
  await page.waitForURL(`${base}/`);

  await page.click('nav a[href="/triggers"]');
  const held = page.locator('article', { hasText: 'contoso/Printers/10.1.2.9' });
  await expect('held printer', held);
  await expect('reason', held.getByText('31 destinataires en une heure'));
  await expect('the words of a French reader', page.getByRole('button', { name: 'Libérer' }));
  await shoot('triggers_fr_held');
  await page.click('.languages button[value=en]');
  await page.waitForSelector('html[lang=en]');
  await page.click('button[name=simulate][value=volume]');
  await expect('finding', page.locator('#simulated td', { hasText: '10.1.2.9' }));
  await shoot('triggers_en_simulated');

  await page.goto(`${base}/triggers`);
  await held.getByRole('button', { name: 'Release' }).click();
  await page.waitForSelector('[role=status]');
  if (await held.count() > 0) wrong.push('the printer is still held');
  const connector = page.locator('article', { hasText: 'Inbound connector Printers' });
  await connector.getByRole('button', { name: 'Hold its mail' }).click();
  await expect('stopped connector', connector.getByText('panic switch'));
  await shoot('triggers_en_stopped');
  await connector.getByRole('button', { name: 'Release' }).click();
  await expect('running connector', connector.getByRole('button', { name: 'Refuse its mail' }));
  await page.setViewportSize({ width: NARROW, height: 800 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  if (width > NARROW) wrong.push(`/triggers is ${width} pixels wide`);
  await browser.close();
  return wrong;
}

walk(process.argv[2], process.argv[3])
  .then((wrong) => console.log(JSON.stringify(wrong)))
  .catch((error) => { console.error(error); process.exit(1); });
