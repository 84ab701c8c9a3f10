'use strict'
// What signed updates cost from one process to another, with the real npm scuttlebutt and its security.js at both ends.
//
//   node security-bench.js writer COUNT KEYS NAME    prints {"listening":PORT}; once a peer is in sync, writes COUNT
//                                                    updates, signed with the key NAME in the directory KEYS
//   node security-bench.js reader COUNT KEYS NAME    prints {"listening":null}; at a line HOST:PORT on stdin connects
//                                                    there, verifies and applies, and prints {"ms":..} when it has
//                                                    COUNT updates
//
// The time runs from the moment in which the reader is in sync. The key is in NAME (PEM) and NAME.pub.pem.
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const Model = require('scuttlebutt/model')
const security = require('scuttlebutt/security')

const [role, countText, directory, name] = process.argv.slice(2)
const count = Number(countText)
const readKey = (file) => fs.readFileSync(path.join(directory, file), 'utf8')
const print = (object) => process.stdout.write(JSON.stringify(object) + '\n')
// A turn of the event loop, so that what is written is also sent meanwhile.
const UPDATES_PER_TURN = 64

function join (model, socket) {
  const stream = model.createStream()
  socket.setEncoding('utf8')
  socket.on('error', (error) => console.error(error.message))
  socket.on('close', () => stream.destroy())
  socket.pipe(stream).pipe(socket)
  return stream
}

const roles = {
  writer (publicKey) {
    const model = new Model(security({}, readKey(name), publicKey))
    let written = 0
    const write = () => {
      for (let i = 0; i < UPDATES_PER_TURN && written < count; i++, written++) {
        model.set(`key-${String(written).padStart(10, '0')}`, `${written} `.padEnd(62, 'v'))
      }
      if (written < count) setImmediate(write)
    }
    const server = net.createServer({ noDelay: true }, (socket) => join(model, socket).once('sync', write))
    server.listen(0, '127.0.0.1', () => print({ listening: server.address().port }))
  },

  reader (publicKey) {
    const keys = {}
    keys[security({}, null, publicKey).createId()] = publicKey
    const model = new Model({ ...security(keys, null, null), createId: () => 'reader' })
    let held = 0
    let start
    model.on('_update', () => {
      if (++held < count) return
      print({ ms: performance.now() - start })
      process.exit(0)
    })
    print({ listening: null })
    process.stdin.setEncoding('utf8').once('data', (line) => {
      const [host, port] = line.trim().split(':')
      const stream = join(model, net.connect({ host, port: Number(port), noDelay: true }))
      stream.once('sync', () => { start = performance.now() })
    })
  },
}

if (!Object.hasOwn(roles, role) || !Number.isInteger(count) || !name) {
  console.error('usage: node security-bench.js writer|reader COUNT KEYS NAME')
  process.exit(2)
}
roles[role](readKey(`${name}.pub.pem`))
