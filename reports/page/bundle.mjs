// node bundle.mjs NODE_MODULES CHARTS.js LICENCES.txt: what draws charts as one script, and the licence texts of all that is
// in it. vega-interpreter has no build for browsers: it becomes one here, on the vega-util that is inside vega.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [, , modules, charts, licences] = process.argv;
const read = (file) => readFileSync(join(modules, file), 'utf8');

const IMPORT = /^import \{([^}]*)\} from 'vega-util';\n/;
const EXPORT = /^export \{ expression as expressionInterpreter \};$/m;
let interpreter = read('vega-interpreter/build/vega-interpreter.js');
if (!IMPORT.test(interpreter) || !EXPORT.test(interpreter))
  throw new Error('vega-interpreter is built otherwise than this script expects: adapt IMPORT and EXPORT');
interpreter = interpreter
  .replace(IMPORT, (_, names) => `const {${names}} = vega;\n`)
  .replace(EXPORT, 'globalThis.vegaInterpreter = { expressionInterpreter: expression };');

const script = [
  read('vega/build/vega.min.js'),
  read('vega-lite/build/vega-lite.min.js'),
  read('vega-embed/build/vega-embed.min.js'),
  `(function () {\n${interpreter}\n})();`,
]
  .map((text) => text.replace(/^\/\/# sourceMappingURL=.*$/gm, ''))
  .join(';\n')
  .replace(/<\/script/gi, '<\\/script')  // inside a <script> these two end it, or hide its end
  .replace(/<!--/g, '<\\!--');
writeFileSync(charts, script);

// Everything that vega and its friends depend on may be inside their builds.
const wanted = new Set();
const visit = (name) => {
  if (wanted.has(name) || !existsSync(join(modules, name, 'package.json'))) return;
  wanted.add(name);
  Object.keys(JSON.parse(read(`${name}/package.json`)).dependencies ?? {}).forEach(visit);
};
['vega', 'vega-lite', 'vega-embed', 'vega-interpreter'].forEach(visit);
const byText = new Map();
for (const name of [...wanted].sort()) {
  const { version, license } = JSON.parse(read(`${name}/package.json`));
  const file = readdirSync(join(modules, name)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? read(`${name}/${file}`).trim() : `Licence: ${license}`;
  byText.set(text, [...(byText.get(text) ?? []), `${name} ${version}`]);
}
writeFileSync(
  licences,
  [...byText].map(([text, names]) => `${names.join(', ')}\n${'-'.repeat(40)}\n${text}\n`).join('\n\n'),
);
