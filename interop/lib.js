'use strict'
// What the scripts here share: the models, by the names our command line uses,
// and the splitting of a byte stream into lines.

const models = {
  map: require('scuttlebutt/model'),
  events: require('scuttlebutt/events'),
  value: require('r-value'),
}

// A replica of the named model. An "error" listener is there from the start, because an
// emitted or replicated event of that name would otherwise end the process.
function createModel (name, id) {
  if (!Object.hasOwn(models, name)) throw new Error(`unknown model ${name}: map, events or value`)
  const model = new models[name](id)
  model.on('error', () => {})
  if (name === 'events') {
    model.delivered = []
    const applyUpdate = model.applyUpdate
    model.applyUpdate = function (update) {
      this.delivered.push(update[0])
      return applyUpdate.call(this, update)
    }
  }
  return model
}

// What the application sees, as JSON text: for Events the delivered events in the order of delivery, which is not
// that of the history.
function stateText (model) {
  return JSON.stringify(model.delivered || model.toJSON())
}

// The whole history as wire lines without their newline. history() without a filter is meant:
// history({}) leaves out sources that are named like members of Object.prototype.
function historyLines (model, since) {
  return model.history(since).map((update) => JSON.stringify(update))
}

// A function that takes chunks of text and calls `each` once per complete line. (Node's readline
// will not do: it also splits at U+2028 and U+2029, which JSON leaves unescaped.)
function lineSplitter (each) {
  let parts = []
  return (chunk) => {
    const lines = chunk.split('\n')
    parts.push(lines.shift())
    for (const next of lines) {
      each(parts.join(''))
      parts = [next]
    }
  }
}

module.exports = { createModel, historyLines, lineSplitter, stateText }
