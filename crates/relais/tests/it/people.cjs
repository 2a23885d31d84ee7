// A helpdesk user of one organisation looks at the trace; an owner takes a second factor on and
// signs in with it; she sets up an issuer, tries it, and olga signs in there. Prints what was wrong
// as JSON. Arguments: a link to set up, folder for pictures, the password of hugo and of anna, the ids of a
// message of his organisation and of another, the issuer and the secret that it gave us.
const { chromium } = require('playwright-core');
const crypto = require('crypto');

// RFC 6238, as an authenticator app does it; so many steps from now.
function code(key, steps) {
  const digits = [...key].map((one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one));
  const bits = digits.map((five) => five.toString(2).padStart(5, '0')).join('');
  const octets = bits.match(/.{8}/g).map((eight) => parseInt(eight, 2));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + steps));
  const tag = crypto.createHmac('sha1', Buffer.from(octets)).update(step).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1000000).padStart(6, '0');
}

async function walk(base, folder, passwords, [own, foreign], [issuer, secret]) {
  const wrong = [];
  const expect = (is, words) => { if (!is) wrong.push(words); };
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  const open = async () => {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    page.on('console', (message) => {
      // That a page is missing is what is tested; what a sign-out clears is told by the browser itself.
      if (!/status of 40[34]|Clear-Site-Data header/.test(message.text())) wrong.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`));
    return page;
  };
  const shoot = (page, name) => page.screenshot({ path: `${folder}/people-${name}.png`, fullPage: true });
  const signIn = async (page, name, password) => {
    await page.goto(`${base}/sign-in`);
    await page.fill('#name', name);
    await page.fill('#password', password);
    await page.click('main button.main');
  };

  const desk = await open();
  await signIn(desk, 'hugo', passwords.hugo);
  await desk.waitForURL(`${base}/`);
  await desk.goto(`${base}/trace?since=24h`);
  const trace = await desk.content();
  expect(trace.includes('scan@contoso.test'), 'the helpdesk finds no mail');
  expect(!trace.includes('payroll'), 'the helpdesk reads a subject in the trace');
  await shoot(desk, 'helpdesk-trace');
  const story = await desk.goto(`${base}/trace/${own}`);
  expect(story.status() === 200, `the story of its own mail: ${story.status()}`);
  expect(!(await desk.content()).includes('payroll'), 'the helpdesk reads a subject in a story');
  await shoot(desk, 'helpdesk-story');
  const others = await desk.goto(`${base}/trace/${foreign}`);
  expect(others.status() === 404, `the story of another organisation: ${others.status()}`);
  for (const path of ['/settings', '/people', '/connectors/outbound', '/connectors/inbound/fabrikam/Secret-Scanner', '/health', '/alerts']) {
    const answer = await desk.goto(base + path);
    expect([403, 404].includes(answer.status()), `${path}: ${answer.status()}`);
  }
  const links = ['/', '/trace', '/queue', '/devices', '/attempts', '/reports', `/search?q=${foreign}`, '/search?q=fabrikam'];
  for (const path of links) {
    await desk.goto(base + path);
    const text = (await desk.content()).replaceAll(decodeURIComponent(path.split('q=')[1] || '~'), '');
    for (const word of ['fabrikam', 'Secret-Scanner', '11.1.3.9', 'payroll']) {
      expect(!text.includes(word), `${path} tells ${word}`);
    }
  }
  const subjects = await desk.goto(`${base}/trace?q=subject%3Apayroll`);
  expect(!(await desk.content()).includes('scan@contoso.test'), `a subject can be asked for: ${subjects.status()}`);

  const owner = await open();
  await signIn(owner, 'anna', passwords.anna);
  await owner.waitForURL(`${base}/`);
  await owner.goto(`${base}/people`);
  expect((await owner.content()).includes('hugo'), 'the owner does not see who is signed in');
  await shoot(owner, 'people');
  await owner.goto(`${base}/account`);
  await shoot(owner, 'account');
  await owner.fill('#factor-old', passwords.anna);
  await owner.click('button[value=begin]');
  const key = await owner.locator('code.copy').first().innerText();
  await shoot(owner, 'factor');
  await owner.fill('#code', code(key, 0));
  await owner.click('main button.main');
  expect(await owner.locator('ul.codes li').count() === 10, 'not ten recovery codes');
  await shoot(owner, 'recovery-codes');
  const again = await open();
  await signIn(again, 'anna', passwords.anna);
  await shoot(again, 'sign-in-code');
  await again.fill('#code', code(key, 1));
  await again.click('main button.main');
  await again.waitForURL(`${base}/`);

  await again.goto(`${base}/sso`);
  await again.fill('#issuer', issuer);
  await again.fill('#client_id', 'relais');
  await again.fill('#client_secret', secret);
  await again.click('main form.fields button.main');
  await shoot(again, 'sso-draft');
  await again.click('a[href="/sso/try"]');
  await again.click('#allow');
  await again.waitForURL(`${base}/sso`);
  await shoot(again, 'sso-tried');
  await again.click('form[action="/sso/adopt"] button');
  await again.waitForURL(`${base}/sso?done=adopted`);
  const olga = await open();
  await olga.goto(`${base}/sign-in?next=%2Ftrace`);
  await shoot(olga, 'sign-in-with');
  await olga.click('a[href^="/sign-in/with"]');
  await olga.click('#allow');
  await olga.waitForURL(`${base}/trace`);
  expect((await olga.content()).includes('sso:olga'), 'the name of who came by the issuer is not shown');
  await shoot(olga, 'by-issuer');
  await olga.click('form[action="/sign-out"] button');
  await olga.waitForSelector('a[href*="/leave?"]');
  await shoot(olga, 'signed-out');
  await olga.click('a[href*="/leave?"]');
  await olga.click('#back');
  await olga.waitForURL(`${base}/sign-in`);
  await browser.close();
  return wrong;
}

const [link, folder, hugo, anna, own, foreign, issuer, secret] = process.argv.slice(2);
walk(new URL(link).origin, folder, { hugo, anna }, [own, foreign], [issuer, secret]).then((wrong) => {
  console.log(JSON.stringify(wrong));
  process.exit(wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
