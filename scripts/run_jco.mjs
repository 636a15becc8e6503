// node run_jco.mjs HOME PROGRAM.wasm ARG...   (see run-jco)
// The current folder, a fresh /tmp, the environment, the standard streams and the network are the
// program's. HOME has jco in its node_modules, and keeps what was transpiled.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { argv, env, exit } from 'node:process';
import { pathToFileURL } from 'node:url';

const [home, program, ...args] = argv.slice(2);
if (program === undefined) {
  console.error('usage: run-jco PROGRAM.wasm ARG...');
  exit(2);
}
const { resolve } = createRequire(join(home, 'package.json'));
const load = (name) => import(pathToFileURL(name));

/** The folder with the program as JavaScript: transpiling takes longer than most tests. */
async function transpiled() {
  const code = readFileSync(program);
  if (code.readUInt32LE(4) === 1) {
    throw new Error('is a core module (WASI 0.1), not a component: READINESS_COMPONENT=1 makes one');
  }
  const all = join(home, 'transpiled');
  const folder = join(all, createHash('sha256').update(code).digest('hex'));
  if (existsSync(folder)) return folder;
  const { transpileBytes } = await load(resolve('@bytecodealliance/jco-transpile'));
  mkdirSync(all, { recursive: true });
  const work = mkdtempSync(join(all, 'new-'));
  const { files } = await transpileBytes(code, { name: 'program', outDir: '.', emitTypescriptDeclarations: false });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(work, name)), { recursive: true });
    writeFileSync(join(work, name), content);
  }
  try {
    renameSync(work, folder);
  } catch {
    rmSync(work, { recursive: true, force: true }); // another process was first
  }
  const age = (name) => statSync(join(all, name)).mtimeMs;
  for (const old of readdirSync(all).sort((a, b) => age(b) - age(a)).slice(100)) {
    rmSync(join(all, old), { recursive: true, force: true });
  }
  return folder;
}

const tmp = mkdtempSync(join(tmpdir(), 'readiness-'));
process.on('exit', () => rmSync(tmp, { recursive: true, force: true }));
try {
  const folder = await transpiled();
  const { _setArgs, _setEnv } = await load(resolve('@bytecodealliance/preview2-shim/cli'));
  const { _setPreopens } = await load(resolve('@bytecodealliance/preview2-shim/filesystem'));
  _setArgs([basename(program), ...args]);
  _setEnv(env);
  _setPreopens({ '.': '.', '/tmp': tmp });
  const component = await load(join(folder, 'program.js'));
  await component.run.run();
  exit(0);
} catch (error) {
  // A component that returns an error has said what it had to; anything else is a trap or ours.
  const returned = error?.constructor?.name === 'ComponentError';
  if (!returned) console.error(`${basename(program)}: ${error?.stack ?? error}`);
  exit(returned ? 1 : 134);
}
