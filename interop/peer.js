'use strict'
// One replica of the real npm scuttlebutt, driven over stdin and stdout.
//
//   node peer.js --model map|events|value --id ID
//                [--listen PORT|unix:PATH] [--connect HOST:PORT|unix:PATH] [--unix PATH]
//                [--options JSON] [--removed] [--verbose] [--trace]
//
//   --listen   accept connections (port 0: any free one); --unix PATH is short for --connect unix:PATH
//   --options  the options given to createStream for every connection
//   --removed  listen to "_remove", whereupon Model passes on superseded updates too, which it does not otherwise
//   --verbose  report every update that arrives or is made; --trace reports every line on every socket
//
// Each line on stdin is a command, {"do":NAME,...}. Commands run strictly one after the other, and each gets
// exactly one answer line: {"answer":NAME,...}, with "error":TEXT in it if the command failed. What happens on its
// own is reported between the answers as {"event":NAME,...}. The end of stdin is the same as `quit`. Commands given
// before the connection of --connect stands wait for it.
//
// Whatever was replicated is reported as JSON text inside a string (history lines, state, clock, headers), so that
// no reader in between changes a number, the order of keys or a lone surrogate.
//
//   set        key, value | value             Model.set, or r-value's set           emit  name, args   Events.emit
//   setRaw     update | updates               apply finished updates [change, ts, source] as if they had arrived
//   bulk       updates, sources, prefix, from one call of setRaw with as many updates, round robin over the sources
//                                             "PREFIX-0", "PREFIX-1", ..., timestamps from, from + 1, ...
//   load       file                           pipe the file into a createWriteStream; answers whether its "SYNC" came, and
//                                             the errors. After the first error only the chunk it was in is read.
//   save       file                           pipe createReadStream({tail: false}) into the file
//   state                                     toJSON; for Events the delivered events, in the order of delivery
//   history    since                          the history, one string per update; since (a clock) may be left out
//   clock                                     the newest timestamp of each source
//   counts                                    see `counts` below
//   wait       updates | keys | applied | syncs | connected | closed: N, clock: {source: ts}, timeoutMs (10000)
//              until each of these is at least what is given (open: N means exactly N connections)
//   connect    to, options                    answers when connected; both default to what the command line said
//   disconnect conn                           destroy the socket of one connection, or of all
//   end        conn                           end our side of one connection, or of all: what was written still goes out
//   quit
const fs = require('node:fs')
const net = require('node:net')
const { parseArgs } = require('node:util')
const { createModel, historyLines, lineSplitter, stateText } = require('./lib')

const flags = parseArgs({
  options: {
    model: { type: 'string', default: 'map' },
    id: { type: 'string' },
    listen: { type: 'string' },
    connect: { type: 'string' },
    unix: { type: 'string' },
    options: { type: 'string', default: '{}' },
    removed: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
  },
}).values

const print = (object) => process.stdout.write(JSON.stringify(object) + '\n')
const report = (event, fields) => print({ event, ...fields })
// Messages of JSON.parse quote their input, and may cut a surrogate pair in half.
const textOf = (error) => String((error && error.message) || error).toWellFormed()

// The original lets some input throw out of a socket handler. A test wants to see that, not to lose the peer.
process.on('uncaughtException', (error) => report('uncaught', { error: textOf(error) }))
process.stdout.on('error', () => process.exit(1)) // whoever drove us is gone

const model = createModel(flags.model, flags.id)
const counts = {
  applied: 0, // updates handed to applyUpdate: new for their source
  stale: 0, // "old_data": not newer than what was there from their source
  removed: 0, // "_remove", with --removed
  syncs: 0, // "sync" events, over all connections
  errors: 0, // "error" events of streams
  connected: 0, // connections there ever were, in either direction
  closed: 0, // connections that are over
}

const applyUpdate = model.applyUpdate
model.applyUpdate = function (update) {
  counts.applied++
  if (flags.verbose) report('update', { update: JSON.stringify(update), local: update[2] === model.id })
  return applyUpdate.call(this, update)
}
model.on('old_data', (update) => {
  counts.stale++
  if (flags.verbose) report('stale', { update: JSON.stringify(update) })
})
if (flags.removed) model.on('_remove', () => { counts.removed++ })

// --- connections ---

const connections = new Map()

function join (socket, direction, options) {
  const conn = ++counts.connected
  const stream = model.createStream({ ...options })
  connections.set(conn, { socket, stream })
  report(direction, { conn })

  for (const name of ['header', 'syncSent', 'syncRecieved', 'sync']) {
    stream.on(name, (header) => {
      if (name === 'sync') counts.syncs++
      report(name, name === 'header' ? { conn, header: JSON.stringify(header) } : { conn })
    })
  }
  // A digest without a clock is reported by an error event without an argument. We hang up, as the original's README
  // says one must: otherwise pipe() stops reading at an error, and the connection hangs half alive.
  stream.on('error', (error) => {
    counts.errors++
    report('error', { conn, error: textOf(error), line: error && error.line })
    socket.destroy()
  })
  stream.on('end', () => report('end', { conn }))
  socket.on('error', (error) => report('socketError', { conn, error: textOf(error) }))
  // pipe() stops reading when the stream has closed, and the socket would never see that the peer has closed too.
  stream.on('unpipe', () => socket.resume())
  socket.on('close', () => {
    stream.destroy()
    connections.delete(conn)
    counts.closed++
    report('closed', { conn })
  })
  if (flags.trace) {
    socket.on('data', lineSplitter((line) => report('received', { conn, line })))
    stream.on('data', lineSplitter((line) => report('sent', { conn, line })))
  }

  // Without this the original turns a character that is split over two chunks into U+FFFD.
  socket.setEncoding('utf8')
  socket.pipe(stream).pipe(socket)
  return conn
}

function address (text) {
  if (text.startsWith('unix:')) return { path: text.slice('unix:'.length) }
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, Math.max(colon, 0)) || '127.0.0.1', port: Number(text.slice(colon + 1)) }
}

function connect (to, options) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...address(to), noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeListener('error', reject)
      resolve(join(socket, 'connected', options))
    })
  })
}

function listen (where) {
  const server = net.createServer({ noDelay: true }, (socket) => join(socket, 'accepted', streamOptions))
  server.on('error', (error) => {
    report('listenError', { error: textOf(error) })
    process.exit(1)
  })
  server.listen(address(where), () => report('listening', { port: server.address().port, path: address(where).path }))
}

const chosen = ({ conn }) => (conn === undefined ? [...connections.values()] : [connections.get(conn)])

// --- commands ---

// How many updates the history has, without building and sorting it.
function historyLength () {
  if (flags.model === 'map') return Object.keys(model.store).length
  if (flags.model === 'value') return model._history.length
  return Object.values(model.events || {}).reduce((sum, list) => sum + list.length, 0)
}

function numbers () {
  const keys = flags.model === 'events' ? Object.keys(model.events || {}).length : historyLength()
  return { ...counts, open: connections.size, updates: historyLength(), keys }
}

function reached (wanted) {
  const now = numbers()
  return Object.entries(wanted).every(([name, value]) => {
    if (name === 'clock') return Object.entries(value).every(([source, ts]) => model.sources[source] >= ts)
    if (!(name in now)) throw new Error(`nothing to wait for is called ${name}`)
    return name === 'open' ? now.open === value : now[name] >= value
  })
}

function bulkChange (key, i) {
  return { map: [key, i], events: ['bulk', key, i], value: i }[flags.model]
}

const commands = {
  set ({ key, value }) {
    if (flags.model === 'map') model.set(key, value)
    else model.set(value)
  },
  emit ({ name, args = [] }) {
    model.emit(name, ...args)
  },
  setRaw ({ update, updates = [update] }) {
    return { accepted: updates.filter((each) => model._update(each)).length }
  },
  bulk ({ updates, sources = 1, prefix = 'bulk', from = 1700000000000 }) {
    const start = performance.now()
    for (let i = 0; i < updates; i++) {
      model._update([bulkChange(`${prefix}${i}`, i), from + i, `${prefix}-${i % sources}`])
    }
    return { ms: performance.now() - start }
  },
  load ({ file }) {
    return new Promise((resolve, reject) => {
      const errors = []
      let synced = false
      const stream = model.createWriteStream()
      stream.on('error', (error) => errors.push(textOf(error)))
      stream.on('sync', () => { synced = true })
      // At the end, or at an error: then pipe() gives up after the chunk that it is in.
      stream.on('unpipe', () => setImmediate(() => {
        stream.destroy()
        resolve({ synced, errors })
      }))
      fs.createReadStream(file, 'utf8').on('error', reject).pipe(stream)
    })
  },
  save ({ file }) {
    return new Promise((resolve, reject) => {
      model.createReadStream({ tail: false }).pipe(fs.createWriteStream(file)).on('error', reject).on('finish', resolve)
    })
  },
  state: () => ({ state: stateText(model) }),
  history: ({ since }) => ({ history: historyLines(model, since) }),
  clock: () => ({ clock: JSON.stringify(model.sources) }),
  counts: numbers,
  async wait ({ do: _, timeoutMs = 10000, ...wanted }) {
    const deadline = performance.now() + timeoutMs
    while (!reached(wanted)) {
      if (performance.now() > deadline) return { error: 'timeout', ...numbers() }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return numbers()
  },
  connect: async ({ to = target, options = streamOptions }) => ({ conn: await connect(to, options) }),
  disconnect (which) {
    chosen(which).forEach(({ socket }) => socket.destroy())
  },
  end (which) {
    chosen(which).forEach(({ stream }) => stream.end())
  },
  quit () {
    setImmediate(() => process.stdout.write('', () => process.exit(0)))
  },
}

async function run (line) {
  let name
  try {
    const command = JSON.parse(line)
    name = command.do
    if (!Object.hasOwn(commands, name)) throw new Error(`unknown command ${name}`)
    print({ answer: name, ...(await commands[name](command)) })
  } catch (error) {
    print({ answer: name, error: textOf(error) })
  }
}

// --- start ---

const streamOptions = JSON.parse(flags.options)
const target = flags.connect || (flags.unix && `unix:${flags.unix}`)

if (flags.listen !== undefined) listen(flags.listen)
let last = Promise.resolve()
if (target) {
  last = connect(target, streamOptions).catch((error) => report('connectError', { error: textOf(error) }))
}

process.stdin.setEncoding('utf8')
process.stdin.on('data', lineSplitter((line) => { last = last.then(() => run(line)) }))
process.stdin.on('end', () => { last = last.then(commands.quit) })
