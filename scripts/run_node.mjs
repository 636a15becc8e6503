// node run_node.mjs PROGRAM.wasm ARG...   (see run-node)
// The current folder, a fresh /tmp, the environment and the standard streams are the program's.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { argv, env, exit } from 'node:process';
import { WASI } from 'node:wasi';

const [program, ...args] = argv.slice(2);
if (program === undefined) {
  console.error('usage: run-node PROGRAM.wasm ARG...');
  exit(2);
}
const tmp = mkdtempSync(join(tmpdir(), 'readiness-'));
let status = 134; // what a trap leaves, as an abort does
try {
  const wasi = new WASI({
    version: 'preview1',
    args: [basename(program), ...args],
    env,
    preopens: { '.': '.', '/tmp': tmp },
    returnOnExit: true,
  });
  // Not the asynchronous functions: compiling in the background delays the start.
  const module = new WebAssembly.Module(readFileSync(program));
  status = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
} catch (error) {
  console.error(`${basename(program)}: ${error.stack ?? error}`);
} finally {
  rmSync(tmp, { recursive: true, force: true });
}
exit(status);
