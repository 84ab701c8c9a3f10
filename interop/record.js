'use strict'
// Records what the real npm scuttlebutt says, as golden transcripts: `node record.js DIRECTORY`.
//
// Two replicas talk through streams that this script connects by hand, one line at a time, oldest first, with a turn
// of the event loop after each. Ids and timestamps are fixed. So the same package gives the same files, byte for byte.
// What a file holds is explained in README.md.
const fs = require('node:fs')
const path = require('node:path')
const { createModel, historyLines, lineSplitter, stateText } = require('./lib')
const scenarios = require('./scenarios')

const turn = () => new Promise((resolve) => setImmediate(resolve))

class Side {
  constructor (name, model, { id = name, options = {} }) {
    this.id = id
    this.options = options
    this.model = createModel(model, id)
    this.steps = []
    this.outbox = [] // steps that the other side has not seen yet
    this.arriving = undefined // the update that is being received just now, as we would write it
  }

  open () {
    this.steps.push({ open: true })
    this.stream = this.model.createStream({ ...this.options })
    this.stream.on('data', lineSplitter((line) => this.sent(line)))
    this.stream.on('end', () => this.said({ end: true }))
  }

  close () {
    this.steps.push({ close: true })
    this.stream.destroy()
    this.outbox = []
  }

  sent (line) {
    const step = { send: line }
    if (line === this.arriving) step.echo = true
    else if (this.options.readable === false && !line.startsWith('{')) step.extra = true
    this.said(step)
  }

  said (step) {
    this.steps.push(step)
    this.outbox.push(step)
  }

  receive (line, flags) {
    this.steps.push({ receive: line, ...flags })
    this.arriving = line.startsWith('[') ? JSON.stringify(JSON.parse(line)) : undefined
    this.stream.write(line + '\n')
    this.arriving = undefined
  }

  receiveEnd () {
    this.steps.push({ receiveEnd: true })
    this.stream.end()
  }

  update (kind, update) {
    const line = typeof update === 'string' ? update : JSON.stringify(update)
    this.steps.push({ [kind]: line })
    if (!this.model._update(JSON.parse(line))) throw new Error(`${this.id} does not take ${line}`)
  }

  recorded () {
    const final = {
      state: stateText(this.model),
      clock: JSON.stringify(this.model.sources),
      history: historyLines(this.model),
    }
    return { id: this.id, options: this.options, steps: this.steps, final }
  }
}

// What a scenario's `run` works with.
class World {
  constructor (model, sides) {
    this.sides = {}
    for (const [name, side] of Object.entries(sides)) this.sides[name] = new Side(name, model, side)
  }

  // An update that the named side holds already, or gets from somewhere else: [change, ts, source] or its text.
  apply (name, ...updates) {
    updates.forEach((update) => this.sides[name].update('apply', update))
  }

  // A write of the named side itself.
  local (name, change, ts) {
    this.sides[name].update('local', [change, ts, this.sides[name].id])
  }

  // Opens the named side's stream, without letting it say anything yet.
  open (name) {
    this.sides[name].open()
  }

  // Lets the streams do what they put off.
  async turn () {
    await turn()
  }

  // A line from a peer that is played by hand.
  async receive (name, line) {
    this.sides[name].receive(line)
    await turn()
  }

  async receiveEnd (name) {
    this.sides[name].receiveEnd()
    await turn()
  }

  // Lets at most `count` of the lines that one side has said reach the other.
  async deliver (from, to, count = Infinity) {
    const { outbox } = this.sides[from]
    for (; count > 0 && outbox.length > 0; count--) {
      const { send, echo } = outbox.shift()
      if (send === undefined) this.sides[to].receiveEnd()
      else this.sides[to].receive(send, echo && { echo })
      await turn()
    }
  }

  // Lets both sides talk, a line each in turn, until neither has anything more to say.
  async talk () {
    await turn()
    const { A, B } = this.sides
    while (A.outbox.length + B.outbox.length > 0) {
      await this.deliver('A', 'B', 1)
      await this.deliver('B', 'A', 1)
    }
  }

  // The connection is gone, with what was under way.
  async close () {
    Object.values(this.sides).forEach((side) => side.close())
    await turn()
  }

  // The usual beginning: both open, and talk until they agree.
  async sync () {
    this.open('A')
    this.open('B')
    await this.talk()
  }
}

async function recordScenario ({ name, about, differs, model = 'map', sides = { A: {}, B: {} }, run }) {
  const world = new World(model, sides)
  await run(world)
  const recorded = Object.entries(world.sides).map(([side, each]) => [side, each.recorded()])
  return { name, about, ...(differs && { differs }), model, sides: Object.fromEntries(recorded) }
}

// One step a line, so that a difference in a review is the difference in the conversation.
function text ({ sides, ...head }) {
  const lines = (array, indent) => array.map((each) => '\n' + indent + JSON.stringify(each)).join(',')
  const side = ([name, { id, options, steps, final }]) => `    ${JSON.stringify(name)}: {
      "id": ${JSON.stringify(id)},
      "options": ${JSON.stringify(options)},
      "steps": [${lines(steps, '        ')}
      ],
      "final": {
        "state": ${JSON.stringify(final.state)},
        "clock": ${JSON.stringify(final.clock)},
        "history": [${lines(final.history, '          ')}
        ]
      }
    }`
  const fields = Object.entries(head).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)},\n`)
  return `{\n${fields.join('')}  "sides": {\n${Object.entries(sides).map(side).join(',\n')}\n  }\n}\n`
}

// What createReadStream writes into a file; `later` are updates that arrive while it is open.
async function recordFile ({ model, id, updates, later }) {
  const replica = createModel(model, id)
  const take = (update) => replica._update(typeof update === 'string' ? JSON.parse(update) : update)
  updates.forEach(take)
  let written = ''
  replica.createReadStream({ tail: later !== undefined }).on('data', (line) => { written += line })
  await turn()
  if (later) later.forEach(take)
  await turn()
  return written
}

async function record (directory) {
  fs.mkdirSync(directory, { recursive: true })
  // What an earlier version of this script recorded under another name would otherwise stay for ever.
  for (const file of fs.readdirSync(directory)) {
    if (/\.jsonl?$/.test(file)) fs.unlinkSync(path.join(directory, file))
  }
  for (const scenario of scenarios.conversations) {
    const file = path.join(directory, `${scenario.name}.json`)
    fs.writeFileSync(file, text(await recordScenario(scenario)))
  }
  for (const file of scenarios.files) {
    fs.writeFileSync(path.join(directory, `file-${file.name}.jsonl`), await recordFile(file))
  }
}

module.exports = { record }

if (require.main === module) {
  record(process.argv[2] || path.join(__dirname, 'golden')).catch((error) => {
    console.error(error)
    process.exit(1)
  })
}
