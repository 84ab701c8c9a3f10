'use strict'
// The time that the first sync of N keys takes, with the real npm scuttlebutt at either end or both.
//
//   node bench.js server N [--sources S] [--listen PORT]    holds N keys; prints {"listening":PORT}, then serves until
//                                                           its stdin ends
//   node bench.js client N --connect HOST:PORT [--dump FILE] [--timeout SECONDS]
//                                                           is empty; prints {"ms":..,"keys":..} when it has N keys and
//                                                           the "sync" event has come, exits 1 on timeout
//   node bench.js lines N [--sources S]                     prints what the server holds as it would write it to a file
//
// ms runs from before connect() until both conditions hold. --dump writes the history, a line per update, afterwards.
// Keys have 14 bytes, values 64 bytes of JSON; update i has source "source-(i % S)" and timestamp 1700000000000 + i.
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')
const { createModel, historyLines } = require('./lib')

const { values: flags, positionals: [role, count] } = parseArgs({
  allowPositionals: true,
  options: {
    sources: { type: 'string', default: '1' },
    listen: { type: 'string', default: '0' },
    connect: { type: 'string' },
    dump: { type: 'string' },
    timeout: { type: 'string', default: '600' },
  },
})
const n = Number(count)
const print = (object) => process.stdout.write(JSON.stringify(object) + '\n')

function filled () {
  const model = createModel('map', role)
  for (let i = 0; i < n; i++) {
    const key = `key-${String(i).padStart(10, '0')}`
    const value = `${i} `.padEnd(62, 'v')
    model._update([[key, value], 1700000000000 + i, `source-${i % Number(flags.sources)}`])
  }
  return model
}

function join (model, socket) {
  const stream = model.createStream()
  socket.setEncoding('utf8')
  socket.on('error', (error) => console.error(error.message))
  socket.on('close', () => stream.destroy())
  stream.on('error', (error) => console.error('stream error', error))
  socket.pipe(stream).pipe(socket)
  return stream
}

const roles = {
  server () {
    const model = filled()
    const server = net.createServer({ noDelay: true }, (socket) => join(model, socket))
    server.listen(Number(flags.listen), '127.0.0.1', () => print({ listening: server.address().port }))
    process.stdin.resume().on('end', () => process.exit(0))
  },

  client () {
    const model = createModel('map', role)
    const [host, port] = flags.connect.split(/:(?=\d+$)/)
    setTimeout(() => {
      console.error(`timeout with ${Object.keys(model.store).length} keys`)
      process.exit(1)
    }, Number(flags.timeout) * 1000)

    let keys = 0
    let synced = false
    const start = performance.now()
    const done = () => {
      if (!synced || keys < n) return
      const ms = performance.now() - start
      const history = historyLines(model)
      if (flags.dump) fs.writeFileSync(flags.dump, history.map((line) => line + '\n').join(''))
      print({ ms, keys: history.length })
      process.exit(0)
    }
    // Each update is of another key. One that makes the history complete may come after the "sync".
    model.on('_update', () => { keys++; done() })
    join(model, net.connect({ host, port: Number(port), noDelay: true })).on('sync', () => { synced = true; done() })
  },

  lines () {
    filled().createReadStream({ tail: false }).pipe(process.stdout)
  },
}

if (!Object.hasOwn(roles, role) || !Number.isInteger(n) || (role === 'client' && !flags.connect)) {
  console.error('usage: node bench.js server|client|lines N [flags]; see the head of bench.js')
  process.exit(2)
}
roles[role]()
