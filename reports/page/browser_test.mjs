// node browser_test.mjs ANEVAL NODE_MODULES FOLDER: reports of made-up results in a real browser, from file:// addresses.
//
// Charts are drawn, tables sort and filter by mouse and keyboard, nothing is asked of a network, nothing is written to the
// console, axe finds nothing serious in either colour scheme, and text of strangers stays text. Exit code 77 (skipped) without
// Chromium or without charts in this build. `--shots` also writes pictures into FOLDER. What it prints of times is no verdict.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [, , aneval, modules, folder, option] = process.argv;
const require = createRequire(join(resolve(modules), '/'));
const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'].find((path) => path && existsSync(path));
function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}
if (!CHROMIUM) skip('there is no Chromium: install it, or name one by CHROMIUM=path');
if (!existsSync(join(modules, 'playwright-core'))) skip('playwright-core is missing: npm was when this was built');
const { chromium } = require('playwright-core');
const AXE = readFileSync(join(modules, 'axe-core/axe.min.js'), 'utf8');

let failures = 0;
function check(holds, what) {
  if (!holds) failures += 1;
  console.log(`${holds ? 'ok    ' : 'FAILED'} ${what}`);
}

// Results, as every tool may write them.
const COLUMNS = readFileSync(fileURLToPath(new URL('../../common/record.h', import.meta.url)), 'utf8')
  .match(/kRecordColumns = \{([^}]*)\}/)[1].match(/"(\w+)"/g).map((name) => name.slice(1, -1));
const field = (value) => (/[",]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : `${value}`);
const line = (row) => COLUMNS.map((name) => field(row[name] ?? '')).join(',');
const KERNELS = ['sdpaFwd', 'woFwd', 'ffnFused', 'ffnBwdW2t', 'ffnBwdW13t', 'wotBwd', 'sdpaBwd1', 'sdpaBwd2', 'qBwd', 'kvBwd'];
const PHASES = ['compile', 'load', 'stage_weights', 'write_acts', 'eval', 'read'];

function results(name, { profiles = ['h16'], cases = 1, status = 'ok', reason = '', texts = (word) => word, rows = true, variants = ['default'] } = {}) {
  const lines = [COLUMNS.join(',')];
  for (const profile of rows ? profiles : []) {
    const run = { schema: 1, run_id: 'r', proc: 0, time_utc: '2026-11-28T12:00:00Z', commit: 'abc1234', build: 'release',
      machine: 'm', chip: texts('Chip 9'), os: 'Linux', backend: 'emulator', profile, status: 'ok' };
    const add = (row) => lines.push(line({ ...run, ...row }));
    add({ item: 'validate', metric: 'cases_planned', unit: 'count', value: 1 });
    add({ item: 'validate', metric: 'cases_done', unit: 'count', value: 1 });
    add({ phase: 'profile', item: 'accumulator', metric: 'profile_rule', text: `measured: what ${profile} does [a source]` });
    for (const [threads, tflops] of [[1, 0.1], [2, 0.2]]) {
      add({ phase: 'host', item: 'fma_peak', case: `threads=${threads}`, metric: 'tflops', unit: 'TFLOP/s', value: tflops });
      add({ phase: 'host', item: 'memcpy', case: `bytes=67108864;threads=${threads}`, metric: 'gb_per_s', unit: 'GB/s', value: 9 * threads });
    }
    KERNELS.forEach((kernel, k) => variants.forEach((variant, v) => {
      const thing = { model: texts('tiny'), seq: 64, kernel: texts(kernel), variant };
      for (let i = 0; i < cases; ++i) {
        const one = { ...thing, case: `kernel=${texts(kernel)};model=${texts('tiny')};seq=64;data=random;amp=1;seed=${i + 1}`, phase: 'validate' };
        add({ ...one, metric: 'time', unit: 'ns', value: 1e6 * (i + 1) });
        const bad = i === 0 && k === 0 && status !== 'ok';
        const block = { ...one, item: texts('y') };
        add({ ...block, metric: 'bound_ratio', unit: '1', value: 0.02 * (k + 1) * (v + 1), ...(bad ? { status, reason } : {}) });
        if (i > 0) continue;
        add({ ...block, metric: 'snr_db', unit: 'dB', value: 50 + k });
        add({ ...block, metric: 'error_total', unit: '1', value: 1e-3 * (k + 1) / (v + 1) });
        add({ ...block, metric: 'reference_rms', unit: '1', value: 1 });
        ['error_input', 'error_constants', 'error_output_rounding', 'error_arithmetic'].forEach((metric, p) =>
          add({ ...block, metric, unit: '1', value: 1e-4 * (p + 1) }));
        add({ ...block, item: 'product', metric: 'acc_peak', unit: '1', value: 0.01 });
        add({ ...block, item: 'product', metric: 'headroom', unit: 'bits', value: 6 });
        add({ ...block, item: 'product', metric: 'drop_fraction', unit: '1', value: 0.09 * k });
      }
      PHASES.forEach((phase, p) => [1, 2, 3, 4].forEach((rep) =>
        add({ ...thing, case: `kernel=${texts(kernel)};model=${texts('tiny')};seq=64`, phase, metric: 'time', unit: 'ns', rep, value: 1e5 * (k + 1) * (p + 1) * (v + 1) + 1e3 * rep })));
      add({ ...thing, case: `kernel=${texts(kernel)};model=${texts('tiny')};seq=64`, phase: 'eval', metric: 'tflops', unit: 'TFLOP/s', value: 0.01 * (k + 1) });
      add({ ...thing, case: `kernel=${texts(kernel)};model=${texts('tiny')};seq=64`, phase: 'eval', metric: 'bytes', unit: 'bytes', value: 1e5 });
    }));
    for (const device of ['device', 'reference', 'control1'])
      for (let step = 0; step < 30; ++step)
        add({ model: 'tiny', phase: 'train_step', case: `run=${device};loss_scale=1`, metric: 'loss', unit: '1', step, value: 5 - step / 10 });
  }
  const file = join(folder, `${name}.csv`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  const out = join(folder, name);
  execFileSync(aneval, ['report', file, '--out', out]);
  return join(out, 'report.html');
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const HOSTILE = '<img src=x onerror=alert(1)></script><script>alert(2)</script>';
const PAGES = {
  full: results('full', { profiles: ['h13', 'h16', 'ieee'], variants: ['default', 'pad=32'] }),
  failed: results('failed', { status: 'wrong_result', reason: 'block y: 3 elements outside' }),
  empty: results('empty', { rows: false }),
  hostile: results('hostile', { texts: (word) => word + HOSTILE, status: 'wrong_result', reason: HOSTILE }),
  large: results('large', { cases: 500 }),
};
if (readFileSync(PAGES.full, 'utf8').includes('This build of aneval draws no charts')) skip('so says the report: npm was missing');

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });

async function open(name, settings = {}) {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...settings });
  const page = await context.newPage();
  page.said = [];
  page.asked = [];
  page.on('console', (message) => page.said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => page.said.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => { page.said.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { if (!request.url().startsWith('data:')) page.asked.push(request.url()); });
  await page.goto(pathToFileURL(resolve(PAGES[name])).href);
  return page;
}

async function draw_all(page) {
  const charts = page.locator('.chart');
  for (let i = 0; i < (await charts.count()); ++i) {
    await charts.nth(i).scrollIntoViewIfNeeded();
    await page.waitForFunction((n) => ['done', 'failed'].includes(document.querySelectorAll('.chart')[n].dataset.drawn), i);
  }
  return page.evaluate(() => [...document.querySelectorAll('.chart')].map((box) => ({
    drawn: box.dataset.drawn, marks: box.querySelectorAll('svg path, svg text').length, label: box.getAttribute('aria-label') })));
}

async function serious(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.id} (${v.nodes.length}): ${v.nodes.slice(0, 2).map((n) => `${n.html.slice(0, 160)} ${n.failureSummary.slice(0, 160)}`).join(' | ')}`);
}

for (const name of ['full', 'failed', 'empty', 'hostile']) {
  for (const colorScheme of name === 'full' ? ['light', 'dark'] : ['light']) {
    const page = await open(name, { colorScheme });
    const charts = await draw_all(page);
    check(charts.every((c) => c.drawn === 'done' && c.marks > 5 && c.label), `${name}, ${colorScheme}: ${charts.length} charts are drawn and named`);
    check(page.said.length === 0, `${name}, ${colorScheme}: the console is empty ${page.said.slice(0, 3).join(' ')}`);
    check(page.asked.length === 1, `${name}, ${colorScheme}: nothing is asked of anybody ${page.asked.slice(1, 3).join(' ')}`);
    const violations = await serious(page);
    check(violations.length === 0, `${name}, ${colorScheme}: axe finds nothing serious ${violations.join('\n       ')}`);
    if (option === '--shots') await page.screenshot({ path: join(folder, `${name}-${colorScheme}.png`) });
    await page.context().close();
  }
}

{
  const page = await open('full');
  const backgrounds = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    backgrounds.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  check(backgrounds[0] !== backgrounds[1], `the colour scheme changes the page: ${backgrounds.join(', ')}`);
  await page.emulateMedia({ colorScheme: 'light' });

  const table = page.locator('#kernels table').first();
  const column = async (title) => table.evaluate((t, wanted) => {
    const at = [...t.tHead.rows[0].cells].findIndex((cell) => cell.textContent === wanted);
    return [...t.tBodies[0].rows].filter((row) => !row.hidden).map((row) => Number(row.cells[at].dataset.v));
  }, title);
  const head = table.locator('thead button', { hasText: /^eval$/ });
  await head.click();
  const up = await column('eval');
  check(up.length === 60 && up.every((v, i) => i === 0 || v >= up[i - 1]), 'a click sorts a column by its numbers');
  check((await table.locator('th[aria-sort=ascending]').innerText()).trim() === 'eval', 'aria-sort says so');
  await head.press('Enter');
  const down = await column('eval');
  check(down.every((v, i) => i === 0 || v <= down[i - 1]) && down[0] > down[59], 'Enter on the same head sorts it the other way');

  const filter = page.locator('#kernels input[type=search]').first();
  await filter.fill('qBwd h13');
  const left = await table.evaluate((t) => [...t.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.textContent));
  check(left.length === 2 && left.every((text) => text.includes('qBwd') && text.includes('h13')), 'the filter leaves the rows with all words');
  check((await page.locator('#kernels output').first().innerText()) === '2 of 60 rows', 'and counts them');

  await page.locator('#phases-chart-1 .chart').scrollIntoViewIfNeeded();
  await page.locator('#phases-chart-1 .chart[data-drawn=done]').waitFor();
  const bar = page.locator('#phases-chart-1 svg .mark-rect path').nth(30);
  await bar.hover({ force: true });
  const tip = page.locator('#vg-tooltip-element.visible');
  await tip.waitFor({ timeout: 3000 }).catch(() => {});
  const said = (await tip.count()) ? await tip.innerText() : '';
  check(/kernel[\s\S]*ms[\s\S]*emulator profile/.test(said), `the tooltip names kernel, time and profile: ${said.replace(/\s+/g, ' ')}`);

  await table.locator('tbody tr:not([hidden]) details.again summary').first().click();
  check(/^aneval validate .*--case/.test(await page.locator('#kernels details.again[open] code').first().innerText()), 'a row shows the command that runs it again');
  await page.emulateMedia({ media: 'print' });
  check(!(await page.locator('nav').isVisible()) && (await table.isVisible()), 'on paper there are tables and no navigation');
  await page.context().close();
}

{
  const page = await open('full', { javaScriptEnabled: false });
  check(await page.locator('#kernels table').first().isVisible(), 'without scripts tables are there');
  check((await page.locator('#phases figure table').count()) > 0, 'and so are the numbers of charts');
  await page.context().close();
}
{
  const page = await open('failed');
  check((await page.locator('h1').innerText()).includes('FAILED'), 'a failed run says so first');
  const row = page.locator('#verdict table').first().locator('tbody tr').first();
  check((await row.innerText()).includes('3 elements outside'), 'its reason stands in the first table');
  await page.context().close();
}
{
  const page = await open('empty');
  check((await page.locator('h1').innerText()).includes('INCOMPLETE'), 'an empty run is incomplete');
  check((await page.locator('section .missing').count()) >= 10, 'its pages say what is missing');
  await page.context().close();
}
{
  const page = await open('hostile');
  check((await page.locator('img').count()) === 0, 'markup in names is text');
  check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'and makes the page no wider');
  check((await page.locator('#kernels tbody th').first().innerText()).includes('<img src=x'), 'and can be read');
  await page.context().close();
}
{
  const page = await open('large');
  check(page.said.length === 0, `large: the console is empty ${page.said.slice(0, 3).join(' ')}`);
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  const rows = await page.locator('#cases tbody tr').count();
  const ms = await page.evaluate(() => {
    const begin = performance.now();
    document.querySelector('#cases thead button').click();
    return performance.now() - begin;
  });
  console.log(`       ${rows} rows: first paint after ${paint.toFixed(0)} ms, sorted in ${ms.toFixed(0)} ms`);
  check(rows === 5000, 'a table of 5000 rows is there');
  await page.locator('#cases input[type=search]').fill('seed=77');
  check((await page.locator('#cases output').innerText()) === '10 of 5000 rows', 'and filters');
  await page.context().close();
}

await browser.close();
console.log(failures ? `${failures} checks failed` : 'all checks hold');
process.exit(failures ? 1 : 0);
