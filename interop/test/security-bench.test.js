'use strict'
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const { generateKeyPairSync } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const test = require('node:test')
const { lineSplitter } = require('../lib')

test('the benchmark of signed updates passes them between its own two ends', async (t) => {
  const keys = fs.mkdtempSync(path.join(os.tmpdir(), 'security-bench-'))
  t.after(() => fs.rmSync(keys, { recursive: true }))
  const pem = { type: 'pkcs1', format: 'pem' }
  const pair = generateKeyPairSync('rsa', { modulusLength: 1024, privateKeyEncoding: pem, publicKeyEncoding: pem })
  fs.writeFileSync(path.join(keys, 'key'), pair.privateKey)
  fs.writeFileSync(path.join(keys, 'key.pub.pem'), pair.publicKey)
  const start = (role) => {
    const script = path.join(__dirname, '..', 'security-bench.js')
    const child = spawn(process.execPath, [script, role, '100', keys, 'key'], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => child.kill())
    const lines = []
    let wake = () => {}
    child.stdout.setEncoding('utf8').on('data', lineSplitter((line) => { lines.push(JSON.parse(line)); wake() }))
    const next = async () => {
      while (lines.length === 0) await new Promise((resolve) => { wake = resolve })
      return lines.shift()
    }
    return { child, next }
  }
  const [writer, reader] = [start('writer'), start('reader')]
  const { listening } = await writer.next()
  await reader.next()
  reader.child.stdin.write(`127.0.0.1:${listening}\n`)
  assert.ok((await reader.next()).ms > 0)
})
