// The first run as a person does it: from the link to the delivered test, in a real browser. Counts
// clicks and typed fields. Arguments: link, folder for pictures. Says "PROOF value" when the record
// is to be published, and goes on after a line on standard input. Prints figures as JSON.
const { chromium } = require('playwright-core');

async function run(link, folder) {
  const base = new URL(link).origin;
  const figures = { wrong: [], clicks: 0, fields: 0, characters: 0, seconds: 0 };
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.on('console', (message) => figures.wrong.push(`${page.url()}: ${message.text()}`));
  page.on('pageerror', (error) => figures.wrong.push(`${page.url()}: ${error}`));
  const shoot = (name) => page.screenshot({ path: `${folder}/first-run-${name}.png`, fullPage: true });
  const type = async (field, text) => {
    await page.fill(field, text);
    figures.fields += 1;
    figures.characters += text.length;
  };
  const click = async (what, path) => {
    await page.click(what);
    figures.clicks += 1;
    if (path) await page.waitForURL(base + path);
  };
  const began = Date.now();

  await page.goto(link);
  await type('#name', 'anna');
  await type('#password', 'correct horse battery');
  await type('#again', 'correct horse battery');
  await click('main button.main', '/setup/you');
  await shoot('you');
  await type('#display_name', 'Contoso');
  await type('#postmaster', 'it@contoso.test');
  await click('main button.main', '/setup/checks');
  await page.waitForSelector('text=Second administrator');
  await shoot('checks');
  await click('main a.main', '/setup/domain');
  await type('#domain', 'contoso.test');
  await click('main button.main', '/setup/domain');
  const proof = page.locator('code.copy', { hasText: 'relais-verification=' });
  await shoot('domain');
  console.log(`PROOF ${await proof.first().innerText()}`);
  await new Promise((resolve) => process.stdin.once('data', resolve));
  await click('main form button');
  await page.waitForSelector('.status.good:has-text("Verified")');
  await shoot('verified');
  await click('main a.main', '/setup/leave');
  await shoot('leave');
  await click('#way-direct');
  await click('main button.main', '/setup/senders');
  await shoot('senders');
  await type('#more', '127.0.0.1');
  await click('main button.main', '/setup/prove');
  await type('#to', 'bert@example.org');
  await click('main button.main', '/setup/prove');
  await page.waitForSelector('text=The other server accepted it.');
  await shoot('prove');
  await click('main a.main', '/setup/done');
  await shoot('done');
  figures.seconds = Math.round((Date.now() - began) / 1000);
  await browser.close();
  return figures;
}

run(process.argv[2], process.argv[3]).then((figures) => {
  console.log(JSON.stringify(figures));
  process.exit(figures.wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
