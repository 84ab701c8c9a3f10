'use strict'
// One map of the real npm scuttlebutt on a TLS link, with certificates that `scuttlebutt cert` made.
//
//   node tls.js listen DIRECTORY NAME          prints the port
//   node tls.js connect DIRECTORY NAME PORT
//
// Shows DIRECTORY/NAME.pem, believes DIRECTORY/ca.pem, prints each change as a line of JSON and, once it is
// in sync, sets the key NAME to 1.
const fs = require('node:fs')
const path = require('node:path')
const tls = require('node:tls')
const Model = require('scuttlebutt/model')

const [role, directory, name, port] = process.argv.slice(2)
const file = (suffix) => fs.readFileSync(path.join(directory, suffix))
const options = {
  cert: file(`${name}.pem`),
  key: file(`${name}.key.pem`),
  ca: file('ca.pem'),
  minVersion: 'TLSv1.3',
  requestCert: true,
  rejectUnauthorized: true,
}

const model = new Model()
model.on('change', (key, value) => console.log(JSON.stringify([key, value])))

function talk (socket) {
  const stream = model.createStream()
  stream.once('sync', () => model.set(name, 1))
  socket.on('error', (error) => console.log(JSON.stringify({ error: error.code })))
  socket.pipe(stream).pipe(socket)
}

if (role === 'listen') {
  const server = tls.createServer(options, talk)
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
} else {
  const socket = tls.connect(Number(port), '127.0.0.1', options, () => talk(socket))
  socket.on('error', (error) => console.log(JSON.stringify({ error: error.code })))
}
