// Adds ways out as a person does it, in a browser without script: every way of the matrix begins a
// draft that its own page can save untouched; the last one is tested, bounded and enabled.
// Arguments: link, folder for pictures, host:port of a mail server. Says "DRAFT" before it is
// enabled, and goes on after a line on standard input. Prints what was wrong as JSON.
const { chromium } = require('playwright-core');

async function run(link, folder, host) {
  const base = new URL(link).origin;
  const wrong = [];
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  const context = await browser.newContext({
    locale: 'en-GB', viewport: { width: 1280, height: 800 }, javaScriptEnabled: false,
  });
  const page = await context.newPage();
  page.on('response', (answer) => {
    if (answer.status() >= 400) wrong.push(`${answer.status()} ${answer.url()}`);
  });
  const shoot = (name) => page.screenshot({ path: `${folder}/add-route-${name}.png`, fullPage: true });
  const next = async (path) => {
    await page.click('main form button.main');
    if (!path.test(page.url())) wrong.push(`${page.url()} is not ${path}: ${await page.innerText('main')}`);
  };
  await page.goto(link);
  for (const [field, text] of [['#name', 'anna'], ['#password', 'correct horse battery'],
    ['#again', 'correct horse battery']]) await page.fill(field, text);
  await page.click('main button');

  await page.goto(`${base}/add-route`);
  await shoot('matrix');
  const ways = await page.locator('input[name=way]').evaluateAll((all) => all.map((one) => one.value))
    .catch(() => []);
  for (const way of ways) {
    await page.goto(`${base}/add-route`);
    await page.check(`#way-${way}`);
    await next(/\/edit\/connect$/);
    await shoot(way);
    if (way === 'plain') break;
    await next(/\/test$/);
  }
  await page.fill('#smart_hosts', 'smtp.example.net:99999');
  await next(/\/edit\/connect$/);
  if (await page.locator('.note.bad').count() !== 1) wrong.push('a wrong host is no mistake');
  await page.fill('#smart_hosts', host);
  await next(/\/test$/);
  await page.fill('#to', 'bert@example.org');
  await next(/\/test$/);
  if (await page.locator('article .status.bad').count()) wrong.push(await page.innerText('main'));
  await shoot('tested');
  await page.click('.acts a >> nth=0');
  await next(/\/edit\/scope$/);
  await page.fill('#sender_domains', 'contoso.test');
  await page.check('input[name=inbound_connectors][value=Printers]');
  await shoot('scope');
  await next(/\/edit\/state$/);
  console.log('DRAFT');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  await page.check('input[name=state][value=enabled]');
  await next(/done=1$/);
  await shoot('done');
  await page.goto(page.url().replace('?done=1', '/edit/scope'));
  if (await page.inputValue('#sender_domains') !== 'contoso.test'
    || !await page.isChecked('input[name=inbound_connectors]')) wrong.push('the scope was not kept');
  await browser.close();
  return wrong;
}

run(process.argv[2], process.argv[3], process.argv[4]).then((wrong) => {
  console.log(JSON.stringify(wrong));
  process.exit(wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
