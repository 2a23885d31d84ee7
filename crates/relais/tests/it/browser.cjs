// Sets up the first administrator, walks through all pages in both languages, holds one message,
// adds a device by the wizard and plays it, adopts another one, looks at dark and at narrow pages.
// Prints what was wrong as JSON. Arguments: link, folder, port of the listener behind a proxy.
const { chromium } = require('playwright-core');
const net = require('net');

const PAGES = ['/', '/trace', '/trace?live=1', '/reports', '/devices', '/queue', '/attempts', '/triggers', '/domains', '/domains/contoso.test',
  '/connectors/inbound', '/connectors/inbound/contoso/Printers', '/connectors/outbound', '/account'];
const WIZARD = ['/add-device', '/connectors/inbound/contoso/Printers/listen',
  '/connectors/inbound/contoso/Printers/listen?simulate=1',
  '/connectors/inbound/contoso/Printers/edit/senders', '/connectors/inbound/contoso/Printers/edit/recipients',
  '/connectors/inbound/contoso/Printers/edit/delivery', '/connectors/inbound/contoso/Printers/remove'];
// What is filled in at each step of the wizard, beside what stands there.
const FIELDS = {
  senders: { 'input[name=replace_local]': true, '#sender_replacement': 'scan@contoso.test' },
  recipients: { '#recipients_per_message': '20', '#sending_hours': '00:00-24:00 Europe/Paris' },
  delivery: { 'input[name=outbound_connector][value=Nowhere]': true, '#archive_address': 'it@contoso.test' },
};
const NARROW = 320; // WCAG 2.2 §1.4.10, in CSS pixels: 1280 at 400 %

// One session of a device at this address; the last reply.
function play(port, address, lines) {
  return new Promise((done, failed) => {
    const left = [...lines];
    let heard = '';
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write(`PROXY TCP4 ${address} 192.0.2.1 4000 25\r\n`);
    });
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      heard += text;
      if (!/(^|\n)\d\d\d [^\n]*\r\n$/.test(heard)) return;
      const next = left.shift();
      if (next === undefined) { socket.destroy(); done(heard); return; }
      heard = '';
      socket.write(`${next}\r\n`);
    });
    socket.on('error', failed);
  });
}

// A chart is looked at closer: by a button, by a drag, and whole again.
async function zoom(page, base, wrong) {
  await page.goto(`${base}/reports?since=24h`);
  const place = page.locator('.chart:has(#mail) [data-zoom]');
  const span = async () => {
    const [from, until] = (await place.getAttribute('data-shown')).split(' ').map(Number);
    return until - from;
  };
  const press = (act) => place.locator(`[data-act=${act}]`).click();
  if (await place.locator('canvas').count() !== 0) wrong.push('reports: drawn before it was asked for');
  await place.locator('button').first().click();
  await place.locator('canvas').waitFor();
  if (await page.locator('.chart:has(#mail) > svg').isVisible()) wrong.push('reports: the picture stays');
  const whole = await span();
  await press('in');
  if (await span() !== whole / 2) wrong.push(`reports: ${await span()} of ${whole} after "closer"`);
  await press('whole');
  const box = await place.locator('.u-over').boundingBox();
  const [x, y] = [box.x + box.width / 4, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + box.width / 4, y, { steps: 4 });
  await page.mouse.up();
  if (Math.abs(await span() - whole / 4) > whole / 50) wrong.push(`reports: ${await span()} of ${whole} after a drag`);
  await press('whole');
  if (await span() !== whole) wrong.push('reports: not whole again');
  await place.locator('button').first().click();
  if (await place.locator('canvas').count() !== 0) wrong.push('reports: not closed');
  if (!await page.locator('.chart:has(#mail) > svg').isVisible()) wrong.push('reports: the picture is gone');
}

async function walk(link, folder, port) {
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
    for (const path of [...PAGES, ...WIZARD]) await visit(path, language);
    await page.goto(`${base}/trace`);
    await page.click('tbody a >> nth=0');
    await shoot(`${language}_story`);
  }
  await zoom(page, base, wrong);
  const device = '10.1.9.9';
  await page.goto(`${base}/add-device`);
  await page.click('main form button.main');
  await page.fill('#name', 'Copier <b>2</b>');
  await page.fill('#sender_ip_addresses', device);
  await page.click('button[value=check]');
  await page.waitForSelector('.findings li');
  await shoot('wizard_identify');
  for (const step of ['senders', 'recipients', 'security', 'delivery', 'review']) {
    await page.click('button[value=next]');
    await page.waitForURL(new RegExp(`${step}$`));
    for (const [field, value] of Object.entries(FIELDS[step] || {})) {
      if (value === true) await page.check(field);
      else await page.fill(field, value);
    }
    await shoot(`wizard_${step}`);
  }
  const sentence = await page.locator('.sentence').innerText();
  for (const part of ['become scan@contoso.test', '00:00-24:00', 'leaves by Nowhere', 'copy goes to it@contoso.test']) {
    if (!sentence.includes(part)) wrong.push(`review: no ${part} in ${sentence}`);
  }
  await page.check('input[name=state][value=enabled]');
  await page.click('button[value=simulate]');
  await page.waitForSelector('fieldset .note');
  await shoot('wizard_simulated');
  await page.click('button[value=save]');
  await page.waitForURL(/listen$/);
  await play(port, device, ['EHLO <script>alert(1)</script>', 'MAIL FROM:<a@fabrikam.test>']);
  await page.waitForSelector('.note.bad');
  await shoot('listen_refused');
  // Nobody has set it up yet: the connector's own address stands for it.
  await play(port, device, ['EHLO scan', 'MAIL FROM:<root@nas.local>',
    'RCPT TO:<anna@contoso.test>', 'DATA',
    'From: root@nas.local\r\nSubject: <img src=x onerror=alert(1)>\r\n\r\nx\r\n.']);
  await page.waitForSelector('.note.good');
  await shoot('listen_accepted');
  await page.goto(`${base}/attempts`);
  await play(port, '10.1.9.10', ['EHLO refused-printer', 'MAIL FROM:<scan@contoso.test>',
    'RCPT TO:<b@example.org>']);
  // Two clicks: adopt, save.
  await page.click('article:has-text("10.1.9.10") button.main');
  await page.waitForURL(/review$/);
  await shoot('adopt_review');
  await page.click('button[value=save]');
  await page.waitForURL(/listen$/);
  await page.goto(`${base}/queue`);
  await page.check('tbody input >> nth=0');
  await page.click('button[value=hold]');
  await shoot('confirm');
  await page.click('main form.acts button');
  await page.waitForURL(/done=hold/);
  await page.emulateMedia({ colorScheme: 'dark' });
  for (const path of [...PAGES, ...WIZARD]) await visit(path, 'dark');
  await page.setViewportSize({ width: NARROW, height: 640 });
  for (const path of [...PAGES, ...WIZARD]) {
    await visit(path, 'narrow');
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > NARROW) wrong.push(`${path}: ${wide} pixels wide`);
  }
  await browser.close();
  return wrong;
}

walk(process.argv[2], process.argv[3], Number(process.argv[4])).then((wrong) => {
  console.log(JSON.stringify(wrong));
  process.exit(wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
