'use strict'
const assert = require('node:assert')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const test = require('node:test')
const { record } = require('../record')

const golden = path.join(__dirname, '..', 'golden')

test('recording again gives the same files', async (t) => {
  const again = fs.mkdtempSync(path.join(os.tmpdir(), 'golden-'))
  t.after(() => fs.rmSync(again, { recursive: true }))
  await record(again)
  assert.deepStrictEqual(fs.readdirSync(again), fs.readdirSync(golden))
  for (const file of fs.readdirSync(golden)) {
    assert.strictEqual(fs.readFileSync(path.join(again, file), 'utf8'), fs.readFileSync(path.join(golden, file), 'utf8'), file)
  }
})

test('what one side sends is what the other receives, in order', () => {
  for (const file of fs.readdirSync(golden).filter((name) => name.endsWith('.json'))) {
    const { name, sides } = JSON.parse(fs.readFileSync(path.join(golden, file), 'utf8'))
    assert.strictEqual(`${name}.json`, file)
    if (!sides.B) continue
    const said = (side, kind) => side.steps.flatMap((step) => (step[kind] === undefined ? [] : [step[kind]]))
    assert.deepStrictEqual(said(sides.A, 'receive'), said(sides.B, 'send'), file)
    assert.deepStrictEqual(said(sides.B, 'receive'), said(sides.A, 'send'), file)
  }
})
