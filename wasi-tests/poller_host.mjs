// node poller_host.mjs HOME COMPONENT: a host that uses the component readiness:poller/poller with
// pollables of its own. HOME is where scripts/run-jco has jco. Prints `ok NAME` for each check.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { argv, exit } from 'node:process';
import { pathToFileURL } from 'node:url';

const [home, component] = argv.slice(2);
const { resolve } = createRequire(join(home, 'package.json'));
const load = (name) => import(pathToFileURL(name));

const { transpileBytes } = await load(resolve('@bytecodealliance/jco-transpile'));
const all = join(home, 'transpiled');
mkdirSync(all, { recursive: true });
const folder = mkdtempSync(join(all, 'new-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const { files } = await transpileBytes(readFileSync(component), { name: 'poller', outDir: '.', emitTypescriptDeclarations: false });
for (const [name, content] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}
const { poller } = await load(join(folder, 'poller.js'));
const { monotonicClock } = await load(resolve('@bytecodealliance/preview2-shim/clocks'));

const ms = 1_000_000n;
const soon = 20_000n * ms;
const after = (count) => monotonicClock.subscribeDuration(count * ms);
const tokens = (events) => events.map((event) => event.token).sort((a, b) => Number(a - b));
const fails = (code, call) => assert.throws(call, (error) => (error.payload ?? error) === code);

const checks = {
  'a pollable is told by its token, level by level'() {
    const one = new poller.Poller();
    one.register(after(5n), 7n, 'level');
    for (let round = 0; round < 3; round++) assert.deepEqual(one.wait(soon, 8), [{ token: 7n, expirations: 0 }]);
  },
  'a one-shot registration is told once, and again after a modify'() {
    const one = new poller.Poller();
    const registration = one.register(after(0n), 1n, 'one-shot');
    assert.deepEqual(tokens(one.wait(soon, 8)), [1n]);
    assert.deepEqual(one.wait(0n, 8), []);
    one.modify(registration, 2n, 'one-shot');
    assert.deepEqual(tokens(one.wait(soon, 8)), [2n]);
  },
  'an edge is told, and at worst again'() {
    const one = new poller.Poller();
    const begin = Date.now();
    one.register(after(0n), 1n, 'edge');
    assert.deepEqual(tokens(one.wait(soon, 8)), [1n]);
    // It stays ready, and nobody arms it: again after 1 ms, doubling to 256 ms, and not before.
    let again = 0;
    while (Date.now() - begin < 300) again += one.wait(0n, 8).length;
    const took = Date.now() - begin + 1;
    assert.ok(again <= Math.log2(Math.min(took, 512) + 1) + took / 256, `${again} times in ${took} ms`);
    assert.deepEqual(tokens(one.wait(soon, 8)), [1n]);
  },
  'unregister gives the pollable back'() {
    const one = new poller.Poller();
    const registration = one.register(after(0n), 1n, 'level');
    const pollable = one.unregister(registration);
    assert.equal(pollable.ready(), true);
    fails('not-found', () => one.unregister(registration));
    fails('not-found', () => one.modify(registration, 1n, 'level'));
    assert.deepEqual(one.wait(ms, 8), []);
    one.register(pollable, 3n, 'level');
    assert.deepEqual(tokens(one.wait(soon, 8)), [3n]);
  },
  'timers expire among pollables'() {
    const one = new poller.Poller();
    one.register(after(100_000n), 1n, 'level');
    one.addTimer(2n, 5n * ms, undefined);
    const periodic = one.addTimer(3n, ms, ms);
    const stopped = one.addTimer(4n, ms, undefined);
    assert.equal(one.cancelTimer(stopped), true);
    assert.equal(one.cancelTimer(stopped), false);
    const seen = new Map();
    while (!seen.has(2n)) {
      for (const { token, expirations } of one.wait(soon, 8)) seen.set(token, (seen.get(token) ?? 0) + expirations);
    }
    assert.equal(seen.get(2n), 1);
    assert.ok(seen.get(3n) >= 4, `${seen.get(3n)} beats`);
    assert.equal(seen.size, 2);
    assert.equal(one.cancelTimer(periodic), true);
    fails('invalid-argument', () => one.addTimer(5n, ms, 0n));
  },
  'no more events than the maximum, and none starves'() {
    const one = new poller.Poller();
    for (let token = 0n; token < 10n; token++) one.register(after(0n), token, 'level');
    const seen = new Set();
    for (let round = 0; round < 10; round++) {
      const events = one.wait(soon, 3);
      assert.ok(events.length > 0 && events.length <= 3);
      for (const { token } of events) seen.add(token);
    }
    assert.equal(seen.size, 10);
    fails('invalid-argument', () => one.wait(0n, 0));
  },
  'a wait that nothing can end is an error and no hang'() {
    const one = new poller.Poller();
    fails('invalid-argument', () => one.wait(undefined, 8));
    const begin = Date.now();
    assert.deepEqual(one.wait(20n * ms, 8), []);
    assert.ok(Date.now() - begin >= 19);
  },
  'two pollers do not mix'() {
    const [one, other] = [new poller.Poller(), new poller.Poller()];
    one.register(after(0n), 1n, 'level');
    const registration = other.register(after(100_000n), 2n, 'level');
    assert.deepEqual(tokens(one.wait(soon, 8)), [1n]);
    assert.deepEqual(other.wait(0n, 8), []);
    assert.equal(other.unregister(registration).ready(), false);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    check();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error?.stack ?? error}`);
  }
}
exit(failed ? 1 : 0);
