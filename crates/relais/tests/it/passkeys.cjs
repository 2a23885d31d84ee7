// anna makes passkeys on devices that the browser pretends to have, signs in by them, alone and
// after her password, and loses one; a copied device, a page without script and a page that was
// opened by an address. Prints what was wrong as JSON. Arguments: a link to set up, folder for
// pictures, the password of anna.
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const DEVICE = {
  protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
  isUserVerified: true, automaticPresenceSimulation: true,
};

async function walk(address, folder, password) {
  const wrong = [];
  const expect = (is, words) => { if (!is) wrong.push(words); };
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium', args: ['--no-sandbox'],
  });
  // A passkey belongs to a name.
  const base = address.replace('127.0.0.1', 'localhost');
  const open = async (more) => {
    const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 }, ...more });
    const page = await context.newPage();
    page.on('console', (message) => {
      // What a sign-out clears is told by the browser itself.
      if (!/status of 403|Clear-Site-Data header/.test(message.text())) wrong.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`));
    return page;
  };
  const shoot = async (page, name) => {
    await page.screenshot({ path: `${folder}/passkeys-${name}.png`, fullPage: true });
    await page.evaluate(axe);
    const found = await page.evaluate(() => axe.run(document, {
      runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }, resultTypes: ['violations'],
    }));
    for (const one of found.violations) wrong.push(`${name}: ${one.id}: ${one.nodes[0].target.join(' ')}`);
  };
  const type = async (page, at) => {
    await page.goto(`${at}/sign-in`);
    await page.fill('#name', 'anna');
    await page.fill('#password', password);
    await page.click('form[action="/sign-in"] button');
  };
  const signOut = async (page) => {
    await page.click('form[action="/sign-out"] button');
    await page.waitForURL(`${base}/sign-in`);
  };

  const byAddress = await open();
  await type(byAddress, address);
  await byAddress.waitForURL(`${address}/account?must=factor`);
  expect((await byAddress.content()).includes('opened by an IP address'), 'no word of why there are no passkeys by an address');
  expect(await byAddress.locator('#passkey-name').count() === 0, 'passkeys are offered by an address');
  await shoot(byAddress, 'by-address');

  const page = await open();
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const plug = async () => (await devtools.send('WebAuthn.addVirtualAuthenticator', { options: DEVICE })).authenticatorId;
  const unplug = (authenticatorId) => devtools.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
  const kept = async (authenticatorId) => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials;
  const begin = async (name) => {
    await page.goto(`${base}/account`);
    await page.fill('#passkey-name', name);
    await page.fill('#passkey-old', password);
    await page.click('button[value=begin] >> nth=-1');
    await page.waitForSelector('form[data-passkey=make]');
  };
  const telephone = await plug();
  await page.goto(`${base}/sign-in`);
  expect(await page.locator('form[data-passkey]').count() === 0, 'passkeys are offered though nobody has one');
  await type(page, base);
  await page.waitForURL(`${base}/account?must=factor`);
  await begin('Telephone <b>');
  await shoot(page, 'new');
  await page.click('form[data-passkey] button');
  await page.waitForURL(/done=passkey/);
  await shoot(page, 'account');
  expect((await page.innerText('#content table >> nth=0')).includes('Telephone <b>'), 'the new passkey is not shown');
  const [made] = await kept(telephone);
  expect(made && made.rpId === 'localhost' && made.isResidentCredential, `kept: ${JSON.stringify(made)}`);
  const home = await page.goto(`${base}/`);
  expect(home.url() === `${base}/`, `a passkey is no second factor: ${home.url()}`);
  // The same device once more.
  await begin('Again');
  await page.click('form[data-passkey] button');
  await page.waitForSelector('[data-said]:not([hidden])');
  expect((await page.innerText('[data-said]')).includes('already'), 'the device says nothing of the passkey that it has');
  await page.goto(`${base}/account`);
  await signOut(page);

  await shoot(page, 'sign-in');
  await page.click('form[data-passkey=show] button');
  await page.waitForURL(`${base}/`);
  expect((await page.content()).includes('href="/account">anna<'), 'not anna');
  await signOut(page);
  await type(page, base);
  await page.waitForSelector('form[data-passkey=show]');
  expect(await page.locator('#code').count() === 0, 'a code is asked for that nobody has');
  await shoot(page, 'after-password');
  await page.click('form[data-passkey=show] button');
  await page.waitForURL(`${base}/`);
  await signOut(page);

  // Who is not the person gets no further than the device.
  await devtools.send('WebAuthn.setUserVerified', { authenticatorId: telephone, isUserVerified: false });
  await page.click('form[data-passkey=show] button');
  await page.waitForSelector('[data-said]:not([hidden])');
  await shoot(page, 'not-verified');
  expect((await page.innerText('[data-said]')).includes('browser ended it'), 'nothing is said of what the device refused');
  await unplug(telephone);

  // A copy of the device counts from an earlier number.
  const copy = await plug();
  await devtools.send('WebAuthn.addCredential', { authenticatorId: copy, credential: { ...made, signCount: 0 } });
  await page.click('form[data-passkey=show] button');
  await page.waitForSelector('text=does not count');
  expect(!(await page.innerText('#content')).includes('counter'), 'a stranger is told the reason');
  await shoot(page, 'copy');
  expect(!(await page.context().cookies()).some((one) => one.name.includes('session') && one.value), 'a copied device lets somebody in');
  await unplug(copy);

  const back = await plug();
  await devtools.send('WebAuthn.addCredential', { authenticatorId: back, credential: { ...made, signCount: 1000 } });
  await page.goto(`${base}/sign-in?next=%2Ftrace`);
  await page.click('form[data-passkey=show] button');
  await page.waitForURL(`${base}/trace`);
  await unplug(back);
  const second = await plug();
  await begin('Key in the safe');
  await page.click('form[data-passkey] button');
  await page.waitForURL(/done=passkey/);
  expect(await page.locator('#passkey-id option').count() === 2, 'not two passkeys');
  await page.click('#content details summary');
  await page.selectOption('#passkey-id', { label: 'Telephone <b>' });
  await page.fill('#passkey-remove-old', password);
  await page.click('button[value=remove].danger >> nth=-1');
  await page.waitForURL(/done=passkey-removed/);
  expect(await page.locator('#passkey-id option').count() === 1, 'not one passkey');
  expect((await kept(second)).length === 1, 'the second device keeps nothing');
  await page.click('.languages button[value=fr]');
  await page.waitForSelector('html[lang=fr]');
  await page.goto(`${base}/account`);
  await shoot(page, 'account-fr');
  await signOut(page);
  await shoot(page, 'sign-in-fr');
  await page.click('form[data-passkey=show] button');
  await page.waitForURL(`${base}/`);

  const plain = await open({ javaScriptEnabled: false });
  await plain.goto(`${base}/sign-in`);
  await plain.screenshot({ path: `${folder}/passkeys-sign-in-no-script.png`, fullPage: true });
  expect(await plain.locator('form[data-passkey]').isHidden(), 'a button that does nothing is shown');
  expect((await plain.content()).includes('Passkeys need JavaScript'), 'no word of why there is no passkey');
  await browser.close();
  return wrong;
}

const [link, folder, password] = process.argv.slice(2);
walk(new URL(link).origin, folder, password).then((wrong) => {
  console.log(JSON.stringify(wrong));
  process.exit(wrong.length ? 1 : 0);
}).catch((error) => {
  console.error(error);
  process.exit(2);
});
