'use strict'
// What the real npm scuttlebutt does in `cargo xtask bench`: it is told in lines of JSON on stdin what to do, and answers
// each with one. bench/src/roles says the same of ours, role by role and word by word.
//
//   node measure.js peer ID      a replica: fill, listen, connect, disconnect, write, wait, state, bytes, pong, ping
//   node measure.js in-process   rates
//   node measure.js memory       fill, overwrite, remove, store
//
// What is kind to the original: writing goes in portions, and waits while a socket has more to send than it can take,
// since the original itself never does.
const crypto = require('node:crypto')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { createModel, lineSplitter } = require('./lib')

const [role, id = 'npm'] = process.argv.slice(2)
const model = createModel('map', id)

const FIRST_MS = 1700000000000
const keyOf = (n) => `key-${String(n).padStart(10, '0')}`

// Six letters at a time, drawn as bench/src/workload.rs draws them; two from one table, for speed.
const letters = 'abcdefghijklmnopqrstuvwxyz234567'
const pairs = Array.from({ length: 1024 }, (_, i) => letters[i & 31] + letters[i >> 5])
function valueOf (n, overwritten = 0) {
  let text = `${n} ${overwritten} `
  let drawn = Math.imul(n, 2654435761) ^ Math.imul(overwritten, 40503) | 1
  while (text.length < 62) {
    drawn ^= drawn << 13
    drawn ^= drawn >>> 17
    drawn ^= drawn << 5
    text += pairs[drawn & 1023] + pairs[drawn >>> 10 & 1023] + pairs[drawn >>> 20 & 1023]
  }
  return text.slice(0, 62)
}

// --- waiting ---

let keys = 0
const conditions = new Set()
const applyUpdate = model.applyUpdate
model.applyUpdate = function (update) {
  const isNew = !Object.hasOwn(this.store, update[0][0])
  const result = applyUpdate.call(this, update)
  if (isNew) keys++
  for (const condition of conditions) condition()
  return result
}

function until (isReached) {
  return new Promise((resolve) => {
    const look = () => {
      if (!isReached()) return
      conditions.delete(look)
      resolve()
    }
    conditions.add(look)
    look()
  })
}

// --- connections ---

const connections = new Set()

function join (socket) {
  const stream = model.createStream()
  const connection = { socket, isSynced: false }
  connections.add(connection)
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  stream.on('error', () => socket.destroy())
  stream.on('sync', () => {
    connection.isSynced = true
    for (const condition of conditions) condition()
  })
  stream.on('unpipe', () => socket.resume())
  socket.on('close', () => {
    stream.destroy()
    connections.delete(connection)
    for (const condition of conditions) condition()
  })
  socket.pipe(stream).pipe(socket)
  return connection
}

const PORTION = 50
const pause = () => new Promise((resolve) => setImmediate(resolve))
const isFull = () => [...connections].some(({ socket }) => socket.writableNeedDrain && !socket.isStalled)

// A socket whose peer reads nothing is not waited for: after a while it is taken for stalled.
async function drained () {
  const begun = performance.now()
  while (isFull()) {
    await pause()
    if (performance.now() - begun > 500) {
      for (const { socket } of connections) if (socket.writableNeedDrain) socket.isStalled = true
    }
  }
}

const peer = {
  fill ({ keys: count, sources }) {
    for (let n = 0; n < count; n++) model._update([[keyOf(n), valueOf(n)], FIRST_MS + n, `source-${n % sources}`])
    return { keys }
  },
  listen () {
    return new Promise((resolve) => {
      const server = net.createServer({ noDelay: true }, join)
      server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => resolve({ port: server.address().port }))
    })
  },
  async connect ({ port, keys: wanted }) {
    const begun = performance.now()
    const connection = join(net.connect({ host: '127.0.0.1', port, noDelay: true }))
    await until(() => connection.isSynced && keys >= wanted)
    return { ms: performance.now() - begun }
  },
  async disconnect () {
    for (const { socket } of connections) socket.destroy()
    await until(() => connections.size === 0)
    return {}
  },
  async write ({ count, over = 1, from = 0, overwritten = 0 }) {
    const begun = performance.now()
    for (let n = 0; n < count; n++) {
      const key = from + n % over
      model.set(keyOf(key), valueOf(key, overwritten + Math.floor(n / over)))
      if (n % PORTION === PORTION - 1) {
        await pause()
        await drained()
      }
    }
    return { ms: performance.now() - begun }
  },
  async wait ({ keys: wanted = 0, key, overwritten = 0 }) {
    const text = key === undefined || valueOf(key, overwritten)
    await until(() => keys >= wanted && (key === undefined || model.get(keyOf(key)) === text))
    return { keys }
  },
  state () {
    const hash = crypto.createHash('sha1')
    for (const key of Object.keys(model.store).sort()) hash.update(`${key}=${JSON.stringify(model.get(key))}\n`)
    return { keys, sha1: hash.digest('hex') }
  },
  bytes () {
    const sum = (name) => [...connections].reduce((all, { socket }) => all + socket[name], 0)
    return { received: sum('bytesRead'), sent: sum('bytesWritten') }
  },
  pong () {
    let answered = 0
    model.on('change:' + keyOf(0), () => model.set(keyOf(1), valueOf(1, ++answered)))
    return {}
  },
  async ping ({ count }) {
    const us = []
    let answer
    model.on('change:' + keyOf(1), () => answer())
    for (let n = 0; n < count; n++) {
      const begun = process.hrtime.bigint()
      const answered = new Promise((resolve) => { answer = resolve })
      model.set(keyOf(0), valueOf(0, n))
      await answered
      us.push(Number(process.hrtime.bigint() - begun) / 1e3)
    }
    return { us }
  },
}

const rate = (count, begun) => count / (performance.now() - begun) * 1e3

const inProcess = {
  rates ({ count }) {
    const result = {}
    let begun = performance.now()
    for (let n = 0; n < count; n++) model.set(keyOf(n), valueOf(n))
    result.local = rate(count, begun)
    const other = createModel('map', 'other')
    const updates = Object.values(model.store).map(([change, ts]) => [change, ts, 'elsewhere'])
    begun = performance.now()
    for (const update of updates) other._update(update)
    result.remote = rate(count, begun)
    begun = performance.now()
    const lines = updates.map((update) => JSON.stringify(update) + '\n')
    result.encode = rate(count, begun)
    begun = performance.now()
    for (const line of lines) JSON.parse(line)
    result.decode = rate(count, begun)
    if (JSON.stringify(other.toJSON()) !== JSON.stringify(model.toJSON())) throw new Error('states differ')
    return result
  },
}

let filled = 0
const memory = {
  fill ({ keys: count }) {
    filled = count
    return this.overwrite({ times: 0 })
  },
  overwrite ({ times }) {
    for (let n = 0; n < filled; n++) model.set(keyOf(n), valueOf(n, times))
    global.gc()
    return { keys: Object.keys(model.toJSON()).length }
  },
  remove () {
    for (let n = 0; n < filled; n++) if (n % 10 !== 0) model.set(keyOf(n), null)
    global.gc()
    return { keys: Object.keys(model.toJSON()).length }
  },
  // What the original offers to keep a replica in: a file to which each update is appended.
  async store ({ dir, count }) {
    const file = path.join(dir, 'history')
    const output = fs.createWriteStream(file)
    model.createReadStream().pipe(output)
    for (let n = 0; n < count; n++) {
      model.set(keyOf(n % 10), valueOf(n % 10, Math.floor(n / 10)))
      if (n % PORTION === PORTION - 1) {
        await pause()
        while (output.writableNeedDrain) await pause()
      }
    }
    while (output.writableLength > 0) await pause()
    return { bytes: fs.statSync(file).size }
  },
}

// --- commands ---

const roles = { peer, 'in-process': inProcess, memory }
if (!Object.hasOwn(roles, role)) {
  console.error('usage: node measure.js peer|in-process|memory [ID]; see the head of measure.js')
  process.exit(2)
}

let before = Promise.resolve()
const print = (answer) => process.stdout.write(JSON.stringify(answer) + '\n')
process.stdin.setEncoding('utf8')
process.stdin.on('data', lineSplitter((line) => {
  const { do: name, ...what } = JSON.parse(line)
  before = before.then(() => roles[role][name](what)).then(print, (error) => print({ error: String(error) }))
}))
process.stdin.on('end', () => process.exit(0))
