'use strict'
const assert = require('node:assert')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const test = require('node:test')
const { lineSplitter } = require('../lib')

// A running peer: `ask` resolves to the answer, `events` collects what happened.
class Peer {
  constructor (t, ...args) {
    this.child = spawn(process.execPath, [path.join(__dirname, '..', 'peer.js'), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => this.child.kill())
    this.events = []
    this.waiting = []
    this.child.stdout.setEncoding('utf8')
    this.child.stdout.on('data', lineSplitter((line) => {
      const object = JSON.parse(line)
      if (object.event) this.events.push(object)
      const index = this.waiting.findIndex(({ wanted }) => wanted(object))
      if (index >= 0) this.waiting.splice(index, 1)[0].resolve(object)
    }))
  }

  until (wanted) {
    return new Promise((resolve) => this.waiting.push({ wanted, resolve }))
  }

  event (name) {
    return this.events.find(({ event }) => event === name) || this.until(({ event }) => event === name)
  }

  async address () {
    const { port, path } = await this.event('listening')
    return path ? `unix:${path}` : `127.0.0.1:${port}`
  }

  ask (name, fields) {
    const answer = this.until((object) => object.answer !== undefined)
    this.child.stdin.write(JSON.stringify({ do: name, ...fields }) + '\n')
    return answer
  }
}

async function pair (t, model, ...args) {
  const a = new Peer(t, '--model', model, '--id', 'A', '--listen', '0', ...args)
  const b = new Peer(t, '--model', model, '--id', 'B', '--connect', await a.address(), ...args)
  await b.event('sync')
  return [a, b]
}

function temporary (t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'interop-'))
  t.after(() => fs.rmSync(directory, { recursive: true }))
  return directory
}

test('a map: both directions, state, history, clock, counts', async (t) => {
  const [a, b] = await pair(t, 'map')
  assert.deepStrictEqual(await a.ask('set', { key: 'k', value: { 2: 'ü', 1: -0 } }), { answer: 'set' })
  await b.ask('setRaw', { updates: [[['j', '\ud800'], 20, 'C'], [['j', 'stale'], 20, 'C']] }).then((answer) => {
    assert.deepStrictEqual(answer, { answer: 'setRaw', accepted: 1 })
  })
  for (const peer of [a, b]) assert.strictEqual((await peer.ask('wait', { keys: 2 })).keys, 2)
  assert.deepStrictEqual(JSON.parse((await b.ask('state')).state), { k: { 1: 0, 2: 'ü' }, j: '\ud800' })
  const { history } = await a.ask('history')
  assert.deepStrictEqual(history, (await b.ask('history')).history)
  assert.strictEqual(history[0], '[["j","\\ud800"],20,"C"]')
  assert.deepStrictEqual((await a.ask('history', { since: { C: 20 } })).history, [history[1]])
  assert.strictEqual(JSON.parse((await a.ask('clock')).clock).C, 20)
  assert.deepStrictEqual(b.events.map(({ event }) => event).filter((name) => name !== 'closed'),
    ['connected', 'header', 'syncSent', 'syncRecieved', 'sync'])
  assert.deepStrictEqual(JSON.parse(b.events[1].header), { id: 'A', clock: {} })
  const counts = await b.ask('counts')
  assert.strictEqual(counts.applied, 2)
  assert.ok(counts.stale >= 1)
})

test('events are delivered, in the order of delivery', async (t) => {
  const [a, b] = await pair(t, 'events')
  await a.ask('emit', { name: 'hello', args: [1, [2]] })
  await b.ask('wait', { updates: 1 })
  await b.ask('setRaw', { update: [['early'], 1, 'C'] })
  await a.ask('wait', { updates: 2, clock: { C: 1 } })
  for (const peer of [a, b]) assert.strictEqual((await peer.ask('state')).state, '[["hello",1,[2]],["early"]]')
  assert.strictEqual((await a.ask('history')).history[0], '[["early"],1,"C"]')
})

test('a value', async (t) => {
  const [a, b] = await pair(t, 'value')
  await a.ask('set', { value: [1] })
  await b.ask('wait', { updates: 1 })
  assert.strictEqual((await b.ask('state')).state, '[1]')
})

test('bulk, disconnect, connect again over a Unix socket', async (t) => {
  const socket = path.join(temporary(t), 'socket')
  const a = new Peer(t, '--id', 'A', '--listen', `unix:${socket}`)
  await a.event('listening')
  const b = new Peer(t, '--id', 'B', '--unix', socket)
  await b.ask('wait', { syncs: 1 })
  await b.ask('disconnect')
  await a.ask('wait', { closed: 1, open: 0 })
  await a.ask('bulk', { updates: 1000, sources: 7, prefix: 'p', from: 5000 })
  assert.deepStrictEqual(await b.ask('connect'), { answer: 'connect', conn: 2 })
  await b.ask('wait', { updates: 1000, syncs: 2, clock: { 'p-5': 5999 } })
  const { history } = await b.ask('history')
  assert.strictEqual(history[999], '[["p999",999],5999,"p-5"]')
  assert.deepStrictEqual(history, (await a.ask('history')).history)
  await b.ask('set', { key: 'last words', value: 1 })
  await b.ask('end')
  await b.ask('wait', { closed: 2, open: 0 })
  await a.ask('wait', { closed: 2, open: 0, updates: 1001 })
})

test('files', async (t) => {
  const file = path.join(temporary(t), 'file')
  const a = new Peer(t, '--id', 'A')
  await a.ask('setRaw', { updates: [[['k', 1], 10, 'A'], [['j', 'é'], 20, 'B']] })
  await a.ask('save', { file })
  assert.strictEqual(fs.readFileSync(file, 'utf8'), '{"id":"A","clock":{"A":10,"B":20}}\n[["k",1],10,"A"]\n[["j","é"],20,"B"]\n"SYNC"\n')
  fs.appendFileSync(file, '[["l",3],30,"A"]')
  const b = new Peer(t, '--id', 'B')
  assert.deepStrictEqual(await b.ask('load', { file }), { answer: 'load', synced: true, errors: [] })
  assert.strictEqual((await b.ask('state')).state, '{"k":1,"j":"é","l":3}')
  fs.writeFileSync(file, 'not JSON\n[["m",4],40,"A"]\n[["n",5],50,"A"]')
  const { synced, errors } = await b.ask('load', { file })
  assert.strictEqual(synced, false)
  assert.strictEqual(errors.length, 1)
  assert.strictEqual((await b.ask('state')).state, '{"k":1,"j":"é","l":3,"m":4}')
  assert.ok((await b.ask('load', { file: '/nowhere' })).error)
})

test('stream options, --verbose and --trace', async (t) => {
  const a = new Peer(t, '--id', 'A', '--listen', '0', '--options', '{"writable":false,"clock":true,"meta":1}')
  await a.ask('setRaw', { update: [['k', 1], 10, 'A'] })
  const b = new Peer(t, '--id', 'B', '--connect', await a.address(), '--options', '{"readable":false,"sendClock":true}', '--verbose', '--trace')
  await b.ask('set', { key: 'mine', value: 1 })
  await b.ask('wait', { syncs: 1, keys: 2 })
  assert.strictEqual((await a.ask('state')).state, '{"k":1}')
  assert.deepStrictEqual(b.events.filter(({ event }) => event === 'received').map(({ line }) => line),
    ['{"id":"A","clock":{"A":10},"meta":1}', '[["k",1],10,"A"]', '"SYNC"'])
  assert.deepStrictEqual(b.events.filter(({ event }) => event === 'update').map(({ local }) => local).sort(), [false, true])
})

test('what a bad peer sends is reported, and the peer goes on', async (t) => {
  const a = new Peer(t, '--id', 'A', '--listen', '0')
  const [host, port] = (await a.address()).split(':')
  for (const line of ['GET / HTTP/1.1', '{"clock":0}', '[null,1,"n"]']) {
    net.connect({ host, port }).on('error', () => {}).end(line + '\n')
  }
  const { errors } = await a.ask('wait', { connected: 3, open: 0 })
  assert.strictEqual(errors, 2)
  assert.ok(a.events.some(({ event, line }) => event === 'error' && line === 'GET / HTTP/1.1'))
  assert.ok(a.events.some(({ event }) => event === 'uncaught'))
  await a.ask('set', { key: 'k', value: 1 })
  assert.ok((await a.ask('nonsense')).error)
  assert.strictEqual((await a.ask('wait', { keys: 2, timeoutMs: 20 })).error, 'timeout')
  assert.strictEqual((await a.ask('state')).state, '{"k":1}')
})

test('the connection cannot be made; quit and the end of stdin end the process', async (t) => {
  const a = new Peer(t, '--id', 'A', '--connect', '127.0.0.1:1')
  assert.ok((await a.event('connectError')).error)
  assert.ok((await a.ask('connect')).error)
  const exited = (peer) => new Promise((resolve) => peer.child.on('exit', resolve))
  const codes = [exited(a)]
  assert.deepStrictEqual(await a.ask('quit'), { answer: 'quit' })
  const b = new Peer(t, '--id', 'B')
  codes.push(exited(b))
  b.child.stdin.end()
  assert.deepStrictEqual(await Promise.all(codes), [0, 0])
})
