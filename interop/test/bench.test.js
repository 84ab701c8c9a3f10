'use strict'
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const path = require('node:path')
const test = require('node:test')

test('the benchmark syncs between its own two ends', async (t) => {
  const start = (...args) => {
    const child = spawn(process.execPath, [path.join(__dirname, '..', 'bench.js'), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => child.kill())
    return once(child.stdout, 'data').then(([data]) => JSON.parse(data))
  }
  const { listening } = await start('server', '1000', '--sources', '3')
  const { ms, keys } = await start('client', '1000', '--connect', `127.0.0.1:${listening}`)
  assert.strictEqual(keys, 1000)
  assert.ok(ms > 0)
})
