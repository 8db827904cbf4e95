'use strict'
// `pose4d/service`: the HTTP service, and the old process pool on top of the engine.

const { PoseProcessPool } = require('./pool.cjs')
const { createServer } = require('./server.cjs')

module.exports = { PoseProcessPool, createServer }
