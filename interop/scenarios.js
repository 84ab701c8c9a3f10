'use strict'
// The conversations and files that record.js records. A scenario's sides are two real replicas, A and B, or one (A)
// whose peer is played by hand. `differs` says where a replica with the guarantees of this repository has reason to
// say something else, or to end in another state.

// Unusual things as a peer may spell them. Not all of them are how JSON.stringify would write them.
const unusualUpdates = [
  '[["unicode","é ß 漢字 😀 \u2028\u2029\u007f"],1,"A"]',
  '[["escapes","\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u0041\\u00e9\\ud83d\\ude00"],2,"A"]',
  '[["lone surrogates",["\\ud800","\\udfff","a\\uDC00b","\\ud83d\\ud83d\\ude00"]],3,"A"]',
  '[["numbers",[-0,0,1.0,-1.50,1e16,1e20,1e21,1E+21,1e-6,1e-7,1.5e300,5e-324,1.7976931348623157e308,9007199254740993,0.1,123456789.123456789]],4,"A"]',
  '[["overflow",[1e999,-1e999]],5,"A"]',
  '[["integer-like keys",{"b":1,"10":2,"9":3,"a":4,"01":5,"-1":6,"1.5":7,"4294967294":8,"4294967295":9,"0":10}],6,"A"]',
  '[["duplicate keys",{"a":1,"b":2,"a":3}],7,"A"]',
  '[["proto",{"__proto__":{"x":1},"y":2}],8,"A"]',
  '[["nested",[[[[{"a":[{"b":{}}]}]]],[],{}]],9,"A"]',
  '[["",""],10,"A"]',
  '[["empty key",{"":""}],11,"A"]',
  '[["literals",[true,false,null]],12,"A"]',
  '[["spaces", { "a" : [ 1 , 2 ] } ], 13, "A"]',
  '[["fraction of a millisecond",1],1700000000000.001,"A"]',
  '[["another spelling of the timestamp",1],1.70000000000000200e12,"A"]',
  '[["ключ 😀",1],1800000000000,"A"]',
  '[["lone key \\udc00",1],1800000000001,"A"]',
]

const conversations = [
  // --- the handshake ---
  {
    name: 'empty-to-empty',
    about: 'Two empty replicas: a digest and "SYNC" each.',
    run: (world) => world.sync(),
  },
  {
    name: 'diff-both-ways',
    about: 'Each side lacks something of the other, and of a third source that both know in part.',
    async run (world) {
      world.apply('A', [['shared', 1], 5, 'C'], [['x', 1], 10, 'A'], [['newer', 2], 15, 'C'])
      world.apply('B', [['shared', 1], 5, 'C'], [['y', 2], 20, 'B'])
      await world.sync()
    },
  },
  {
    name: 'nothing-missing',
    about: 'Both sides hold the same: no update is sent.',
    async run (world) {
      for (const side of ['A', 'B']) world.apply(side, [['x', 1], 10, 'A'], [['y', 2], 20, 'B'])
      await world.sync()
    },
  },
  {
    name: 'tail-false',
    about: 'B leaves after catching up: it ends its direction after "SYNC" and still takes what A has.',
    sides: { A: {}, B: { options: { tail: false } } },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.apply('B', [['y', 2], 20, 'B'])
      await world.sync()
    },
  },
  {
    name: 'tail-false-both',
    about: 'Both sides leave after catching up.',
    sides: { A: { options: { tail: false } }, B: { options: { tail: false } } },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.apply('B', [['y', 2], 20, 'B'])
      await world.sync()
    },
  },
  {
    name: 'meta',
    about: 'Metadata in the digests; a falsy one is left out.',
    sides: {
      A: { options: { meta: { role: 'hub', 2: 'two', 1: [null, 'é'] } } },
      B: { options: { meta: 0 } },
    },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      await world.sync()
    },
  },
  {
    name: 'write-before-first-line',
    about: 'The digest is made when it is sent: a write between createStream and then is in it.',
    async run (world) {
      world.open('A')
      world.local('A', ['x', 1], 10)
      world.open('B')
      await world.talk()
    },
  },
  {
    name: 'write-during-handshake',
    about: "Writes between our digest and the peer's go out with the history, not before it.",
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.open('A')
      world.open('B')
      await world.turn()
      world.local('A', ['x', 2], 20)
      world.local('B', ['y', 1], 30)
      await world.talk()
    },
  },
  {
    name: 'reconnect',
    about: 'The connection is lost after a sync, both sides write, and a second connection carries only that.',
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.apply('B', [['y', 2], 20, 'B'])
      await world.sync()
      await world.close()
      world.local('A', ['x', 3], 100)
      world.local('B', ['z', 4], 200)
      await world.sync()
      world.local('A', ['w', 5], 300)
      await world.talk()
    },
  },

  // --- live ---
  {
    name: 'live-after-sync',
    about: 'Live writes of both sides, and one that reaches A from elsewhere.',
    async run (world) {
      await world.sync()
      world.local('A', ['k', 1], 100)
      await world.talk()
      world.local('B', ['j', 2], 200)
      await world.talk()
      world.apply('A', [['from elsewhere', 3], 150, 'C'])
      await world.talk()
    },
  },
  {
    name: 'live-overwrites',
    about: 'The two sides overwrite the same key in turn.',
    async run (world) {
      await world.sync()
      for (let i = 1; i <= 3; i++) {
        world.local('A', ['k', `a${i}`], 100 * i)
        await world.talk()
        world.local('B', ['k', `b${i}`], 100 * i + 50)
        await world.talk()
      }
    },
  },
  {
    name: 'live-crossing',
    about: 'Both sides write different keys before either has heard of the other write.',
    async run (world) {
      await world.sync()
      world.local('A', ['a', 1], 100)
      world.local('A', ['a2', 1], 101)
      world.local('B', ['b', 2], 100.5)
      await world.talk()
    },
  },
  {
    name: 'peer-knows-already',
    about: "An update that the peer's digest covers is not sent when it reaches us later; a newer one is.",
    sides: { A: {} },
    async run (world) {
      world.open('A')
      await world.turn()
      await world.receive('A', '{"id":"peer","clock":{"C":100}}')
      await world.receive('A', '"SYNC"')
      world.apply('A', [['k', 1], 50, 'C'], [['l', 2], 100, 'C'], [['m', 3], 101, 'C'])
    },
  },
  {
    name: 'repeated-updates',
    about: 'What arrives a second time, or is older than what is known of its source, changes nothing.',
    differs: 'an update older than the newest known of its source is stale here, whether it was ever received or not',
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.open('A')
      await world.turn()
      await world.receive('A', '{"id":"peer","clock":{"A":10}}')
      await world.receive('A', '[["k",1],100,"peer"]')
      await world.receive('A', '[["k",1],100,"peer"]')
      await world.receive('A', '[["late",2],50,"peer"]')
      await world.receive('A', '[["x",1],10,"A"]')
      await world.receive('A', '"SYNC"')
    },
  },

  // --- values, ids, order ---
  {
    name: 'unusual-values',
    about: 'Text and numbers on which serialisers disagree; some of the applied lines are not in canonical form.',
    async run (world) {
      world.apply('A', ...unusualUpdates)
      await world.sync()
    },
  },
  {
    name: 'unusual-spelling',
    about: 'The same from a peer played by hand, who then asks for everything back.',
    sides: { A: { id: 'me' } },
    async run (world) {
      world.open('A')
      await world.turn()
      await world.receive('A', ' { "id" : "hand", "clock" : { } } ')
      for (const line of unusualUpdates) await world.receive('A', line)
      await world.receive('A', '\t"SYNC"\r')
      await world.receive('A', '{"id":"hand","clock":{}}')
    },
  },
  {
    name: 'ties-in-history-order',
    about: 'Equal timestamps are ordered by source, by UTF-16 code unit: U+FF5E comes after U+1F600.',
    async run (world) {
      const sources = ['b', '\uff5e', 'B', '😀', 'a', '', 'é', '10', '9', 'aa', '\ud800']
      sources.forEach((source, i) => world.apply('A', [[`k${i}`, i], 100, source]))
      world.apply('A', [['first', 0], 99, 'z'])
      await world.sync()
    },
  },
  {
    name: 'tie-on-one-key',
    about: 'Two sources wrote the same key at the same time.',
    differs: 'the original keeps what arrived last, so its sides end with different values; (timestamp, source) decides here',
    async run (world) {
      world.apply('A', [['k', 'va'], 100, 'A'])
      world.apply('B', [['k', 'vb'], 100, 'B'])
      await world.sync()
    },
  },
  {
    name: 'integer-like-sources',
    about: 'In the digest, sources that look like array indices come first, in numeric order; the rest as first seen.',
    async run (world) {
      const sources = ['z', '10', '9', 'b', '01', '4294967294', '4294967295', '0', '-1', '1.5']
      sources.forEach((source, i) => world.apply('A', [[`k${i}`, i], 10 + i, source]))
      await world.sync()
    },
  },
  {
    name: 'many-sources',
    about: 'Twenty sources, of each of which the sides know a different part.',
    async run (world) {
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 20; i++) {
          const source = (i * 7) % 20
          const update = [[`key${round}-${i}`, i], 1000 + 20 * round + i, `s${source}`]
          if (round <= source % 4) world.apply('A', update)
          if (round <= source % 3) world.apply('B', update)
        }
      }
      await world.sync()
    },
  },
  {
    name: 'trailing-elements',
    about: 'Elements after the source are kept and passed on.',
    async run (world) {
      world.apply('A', '[["k",1],10,"A","signature"]', '[["j",2],20,"C",null,{"2":1,"1":2},[]]')
      await world.sync()
      world.apply('A', '[["l",3],30,"C","sig","relay"]')
      await world.talk()
    },
  },

  // --- models ---
  {
    name: 'deletes',
    about: 'A key is removed by writing null; the removal is history like any other write.',
    async run (world) {
      world.apply('A', [['k', 1], 10, 'A'], [['k', null], 20, 'A'], [['kept', false], 30, 'A'])
      await world.sync()
      world.local('B', ['kept', null], 100)
      await world.talk()
      world.local('A', ['k', 'again'], 200)
      await world.talk()
    },
  },
  {
    name: 'overwritten',
    about: 'The history holds only the newest update of a key.',
    async run (world) {
      world.apply('A', [['k', 1], 10, 'A'], [['j', 1], 11, 'A'], [['k', 2], 12, 'A'], [['j', 2], 13, 'C'], [['l', 0], 14, 'A'])
      await world.sync()
    },
  },
  {
    name: 'overwritten-last',
    about: 'The newest update of source A is superseded: the digest names it, the history does not hold it.',
    differs: 'the newest update of each source is offered even when it is superseded, as the evidence for its entry in the digest',
    async run (world) {
      world.apply('A', [['k', 1], 10, 'A'], [['k', 2], 20, 'C'])
      await world.sync()
    },
  },
  {
    name: 'superseded-on-arrival',
    about: 'A live update that loses against what is there is not passed on, unless somebody listens to "_remove".',
    differs: 'a superseded update is passed on',
    async run (world) {
      world.apply('A', [['k', 'new'], 100, 'A'])
      await world.sync()
      world.apply('A', [['k', 'old'], 50, 'C'])
      await world.talk()
    },
  },
  {
    name: 'events',
    about: 'Events with no, one and several arguments; the same event twice is two updates.',
    model: 'events',
    async run (world) {
      world.apply('A', [['hello', 1], 10, 'A'], [['hello', 1], 20, 'A'], [['none'], 30, 'A'])
      world.apply('B', [['many', 1, [2], { three: 3 }, null], 15, 'B'], [['', ''], 25, 'B'])
      await world.sync()
      world.local('A', ['live', 'a'], 100)
      await world.talk()
      world.local('B', ['live', 'b', 2], 200)
      await world.talk()
    },
  },
  {
    name: 'value',
    about: 'r-value: one side has a value, the other none; then both set it in turn.',
    model: 'value',
    async run (world) {
      world.apply('A', [{ a: 1 }, 10, 'A'])
      await world.sync()
      world.local('B', 'text', 100)
      await world.talk()
      world.local('A', null, 200)
      await world.talk()
    },
  },
  {
    name: 'value-both',
    about: 'r-value: both sides have a value; the later one stays.',
    model: 'value',
    async run (world) {
      world.apply('A', ['early', 10, 'A'])
      world.apply('B', ['late', 20, 'B'])
      await world.sync()
    },
  },
  {
    name: 'value-tie',
    about: 'r-value: equal timestamps; the larger source stays.',
    model: 'value',
    async run (world) {
      world.apply('A', ['va', 100, 'A'])
      world.apply('B', ['vb', 100, 'B'])
      await world.sync()
    },
  },

  // --- one direction ---
  oneWay('send-only', 'A only sends, but waits for the digest of B (clock: true); B only receives and announces its digest.',
    { writable: false, clock: true }, { readable: false, sendClock: true }),
  oneWay('send-only-at-once', 'A only sends, and without clock: true sends its whole history at once, and what B lacks again after its digest.',
    { writable: false, sendClock: true }, { readable: false, sendClock: true }),
  oneWay('one-way-without-digest', 'A only sends, B only receives and announces nothing.',
    { writable: false }, { readable: false }),
  oneWay('receive-only', 'B only receives and announces its digest; A does both.',
    {}, { readable: false, sendClock: true }),
  oneWay('receive-only-without-digest', 'B only receives and announces nothing, so that A waits for ever.',
    {}, { readable: false }),
  oneWay('send-only-to-both', 'A only sends; B does both.',
    { writable: false, clock: true }, {}),
  {
    name: 'send-only-tail-false',
    about: 'A sends what is missing and ends; B does both.',
    sides: { A: { options: { writable: false, clock: true, tail: false } }, B: {} },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.apply('B', [['y', 2], 20, 'B'])
      await world.sync()
    },
  },

  // --- order and content of lines that only a peer played by hand sends ---
  {
    name: 'second-digest',
    about: 'A second digest is answered like the first: what it lacks, and "SYNC".',
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.open('A')
      await world.turn()
      await world.receive('A', '{"id":"peer","clock":{}}')
      await world.receive('A', '[["y",2],20,"peer"]')
      await world.receive('A', '"SYNC"')
      world.local('A', ['z', 3], 30)
      await world.receive('A', '{"id":"peer","clock":{"A":10,"peer":20}}')
      await world.receive('A', '{"id":"peer","clock":{"A":30,"peer":20}}')
      await world.receive('A', '"SYNC"')
      world.local('A', ['z', 4], 40)
    },
  },
  {
    name: 'updates-before-digest',
    about: 'Updates and "SYNC" may come before the digest.',
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['x', 1], 10, 'A'])
      world.open('A')
      await world.turn()
      await world.receive('A', '[["y",2],20,"peer"]')
      await world.receive('A', '"SYNC"')
      await world.receive('A', '{"id":"peer","clock":{"peer":20}}')
      await world.receive('A', '[["y",3],30,"peer"]')
    },
  },
  digests('digest-oddities', 'Digests without an id, with another kind of id, and with unknown fields.', [
    '{"clock":{"A":100}}',
    '{"id":7,"clock":{"B":200,"A":99.5}}',
    '{"clock":{"B":200},"accept":null,"start":1,"meta":{},"id":null}',
  ]),
  digests('digest-clock-oddities', 'Clocks that are not what they should be: compared with the < of JavaScript, or taken to be empty.', [
    '{"id":"p","clock":{"A":"100","B":"199"}}',
    '{"id":"p","clock":{"A":"text","B":200}}',
    '{"id":"p","clock":{"A":null,"B":false}}',
    '{"id":"p","clock":{"A":true,"B":0}}',
    '{"id":"p","clock":5}',
    '{"id":"p","clock":"text"}',
    '{"id":"p","clock":[]}',
    '{"id":"p","clock":true}',
  ]),
  {
    name: 'ignored-lines',
    about: 'Values that are no message, and arrays that are no update, are passed over in silence.',
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['a', 1], 100, 'A'])
      world.open('A')
      await world.turn()
      await world.receive('A', '{"id":"p","clock":{}}')
      for (const line of [
        'null', 'true', 'false', '0', '17.5', '""', '"sync"', '"SYNC "', '"text"',
        '[]', '["k"]', '[["k",1]]', '[["k",1],10]', '[["k",1],"10","p"]', '[["k",1],null,"p"]', '[["k",1],10,5]',
        '[["k",1],10,null]', '[["k",1],10,"__proto__"]',
      ]) await world.receive('A', line)
      await world.receive('A', '[["k","taken"],10,"p"]')
      await world.receive('A', '"SYNC"')
      await world.receive('A', '"SYNC"')
    },
  },
  {
    name: 'peer-ends',
    about: 'When the peer ends its direction, we end ours.',
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['a', 1], 100, 'A'])
      world.open('A')
      await world.turn()
      await world.receive('A', '{"id":"p","clock":{}}')
      await world.receive('A', '[["k",1],10,"p"]')
      await world.receive('A', '"SYNC"')
      await world.receiveEnd('A')
    },
  },
]

// One setting of options, with state on both sides and a live write on each.
function oneWay (name, about, a, b) {
  return {
    name,
    about,
    sides: { A: { options: a }, B: { options: b } },
    async run (world) {
      world.apply('A', [['shared', 1], 5, 'C'], [['x', 1], 10, 'A'])
      world.apply('B', [['shared', 1], 5, 'C'], [['y', 2], 20, 'B'])
      await world.sync()
      world.local('A', ['live', 'a'], 100)
      await world.talk()
      world.local('B', ['back', 'b'], 200)
      await world.talk()
    },
  }
}

// One digest after the other on one connection, to a replica that holds an update of A at 100 and one of B at 200.
function digests (name, about, lines) {
  return {
    name,
    about,
    sides: { A: {} },
    async run (world) {
      world.apply('A', [['a', 1], 100, 'A'], [['b', 2], 200, 'B'])
      world.open('A')
      await world.turn()
      for (const line of lines) await world.receive('A', line)
    },
  }
}

const files = [
  {
    name: 'map',
    model: 'map',
    id: 'A',
    updates: [[['k', 1], 100, 'A'], [['gone', 1], 150, 'A'], [['j', { a: 'é\n' }], 200.001, 'B'], [['gone', null], 300, 'A']],
  },
  {
    // Left open: what comes later is appended, overwriting or not.
    name: 'map-live',
    model: 'map',
    id: 'A',
    updates: [[['k', 1], 100, 'A'], [['k', 2], 110, 'A']],
    later: [[['k', 3], 120, 'A'], [['k', 4], 130, 'B'], [['j', 5], 140, 'A']],
  },
  { name: 'map-unusual', model: 'map', id: 'A', updates: unusualUpdates },
  {
    name: 'events',
    model: 'events',
    id: 'A',
    updates: [[['hello', 1], 10, 'A'], [['many', 1, [2], { three: 3 }, null], 15, 'B'], [['hello', 1], 20, 'A'], [['none'], 30, 'A']],
  },
  { name: 'value', model: 'value', id: 'A', updates: [['early', 10, 'A'], [{ late: ['é'] }, 20, 'B']] },
  { name: 'empty', model: 'map', id: 'A', updates: [] },
]

module.exports = { conversations, files }
