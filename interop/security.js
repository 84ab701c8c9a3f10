'use strict'
// The npm package's security.js, as a witness for ours.
//
//   node security.js record KEYS   print updates signed by it, with the keys in the directory KEYS, as JSON
//   node security.js ask           answer questions, one line of JSON each, in the order in which they come:
//                                    {"line": LINE, "id": ID, "key": PEM}  true if it believes the update in LINE,
//                                                                          knowing the key of ID; otherwise false
//                                    {"public": PEM}                       the id that it makes of this file
//   node security.js node KEYS NAME OTHER
//                                  one end of a conversation over stdin and stdout: a scuttlebutt/model that signs
//                                  with the key NAME, knows the public keys NAME and OTHER, and holds one update. It
//                                  says on stderr, as a line of JSON each, what it applies and what it does not believe
//   node security.js listen KEYS NAME OTHER
//                                  the same over a socket; its port comes first on stderr
//
// The keys are in NAME (PEM) and NAME.pub.pem.
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const Model = require('scuttlebutt/model')
const security = require('scuttlebutt/security')
const { lineSplitter } = require('./lib')

const [mode, directory, name, other] = process.argv.slice(2)
const readKey = (file) => fs.readFileSync(path.join(directory, file), 'utf8')

// What the original signs is what V8 prints after it has read it: every kind of text that has a form of its own there.
const updates = [
  [['key', 'value'], 1],
  [['k', null], 1795331544135],
  [['k', true], 1795331544135.001],
  [['numbers', [0, -0, 1.0, 0.1, -1.5, 1e20, 1e21, 1e16, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, 9007199254740993]], 2.5],
  [['integer-like keys', { b: 1, 2: 2, '01': 3, 10: 4, 9: 5, '-1': 6, 4294967294: 7, 4294967295: 8, 1.5: 9 }], 1e-7],
  [['escapes', '"\\/\b\f\n\r\t\u0000\u001f\u007f\u0080\u2028\u2029'], 123456789.123],
  [['beyond ASCII', 'é ☃ 😀 \ufffd \uffff'], 1e21],
  [['lone surrogates', '\ud800 \udfff \ude00\ud83d', { '\udc00': '\ud83d' }], 1.7976931348623157e308],
  [['\ud800', ''], 5e-324],
  [['__proto__ within', JSON.parse('{"__proto__":1,"constructor":2}')], 9007199254740993],
  [['nested', [[[[[]]], {}]], { a: { b: { c: [] } } }], 3],
  [['', ''], 4],
  ['no array', 5],
  [{ 1: 'an object', 0: 'as a change' }, 6],
]

function record () {
  const keys = ['pem-768', 'pem-1024']
  return keys.map((key) => {
    const { sign, createId } = security({}, readKey(key), readKey(key + '.pub.pem'))
    const id = createId()
    const lines = updates.map(([change, timestamp]) => {
      const update = [change, timestamp, id]
      update[3] = sign(update)
      return JSON.stringify(update)
    })
    // Something stands between the source and the signature, as where somebody else has put a word in.
    const marked = [['k', 1], 7, id, { by: 'another' }]
    marked.push(sign(marked))
    lines.push(JSON.stringify(marked))
    return { key, id, lines }
  })
}

function believes ({ line, id, key }) {
  const { verify } = security({ [id]: key }, null, null)
  let verdict = false
  // It throws where a signature is no string.
  try {
    verify(JSON.parse(line), (error, verified) => { verdict = !error && verified })
  } catch {}
  return verdict
}

function answer (question) {
  if (question.public !== undefined) return security({}, null, question.public).createId()
  return believes(question)
}

function signingModel () {
  const publicKeys = {}
  for (const file of [name, other]) {
    const pem = readKey(file + '.pub.pem')
    publicKeys[security({}, null, pem).createId()] = pem
  }
  const model = new Model(security(publicKeys, readKey(name), readKey(name + '.pub.pem')))
  const report = (event, update) => process.stderr.write(JSON.stringify({ event, line: JSON.stringify(update) }) + '\n')
  model.on('unverified_data', (update) => report('unverified', update))
  model.on('_update', (update) => report('applied', update))
  model.set('from npm', { b: 1e21, 2: '\ud800 é' })
  return model
}

function converse (model, input, output) {
  input.setEncoding('utf8')
  input.pipe(model.createStream()).pipe(output)
}

function listen (model) {
  const server = net.createServer((socket) => converse(model, socket, socket))
  server.listen(0, '127.0.0.1', () => {
    process.stderr.write(JSON.stringify({ event: 'listening', port: server.address().port }) + '\n')
  })
}

if (mode === 'record') {
  process.stdout.write(JSON.stringify(record(), null, 2) + '\n')
} else if (mode === 'ask') {
  process.stdin.setEncoding('utf8')
  process.stdin.on('data', lineSplitter((line) => {
    process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n')
  }))
} else if (mode === 'node') {
  converse(signingModel(), process.stdin, process.stdout)
} else if (mode === 'listen') {
  listen(signingModel())
} else {
  process.stderr.write('usage: node security.js record KEYS | ask | node|listen KEYS NAME OTHER\n')
  process.exitCode = 2
}
