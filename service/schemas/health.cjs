'use strict'
// Answers of the endpoints about the service itself.

const { closed, flag, integer, map, number, oneOf, open, orNull, text } = require('./build.cjs')

const LOADED = oneOf(['loaded', 'not_loaded'], 'State')
const DEVICE = orNull(text('`cpu` or `cuda:N`; null before a model is loaded'))

const health = closed({
  status: oneOf(['ready', 'warming_up', 'not_ready'], '`ready` once a frame has gone through'),
  service: { const: 'pose4d' },
  version: text('Of pose4d'),
  hybrid_available: flag('Whether there is a model to ask'),
  models: map(LOADED, 'By network; `hmr2` and `vitdet` are always there'),
  ready: flag('status is `ready`'),
  device: DEVICE,
  model_version: orNull(text('What will measure')),
  vitdet_available: flag('ViTDet is loaded'),
  error: orNull(text('Why the model could not be loaded')),
  timestamp: number('Unix time, seconds'),
})

const warmed = open({
  status: text('`loaded`, `missing`, `error` or `not_loaded`'),
  load_time_seconds: number('Seconds'),
  message: text('What is missing, and what to do'),
})

const warmup = {
  type: 'object',
  properties: {
    status: oneOf(['ready', 'partial', 'error'], 'As a whole'),
    message: text('What was done'),
    hmr2: warmed,
    vitdet: warmed,
  },
  required: ['status', 'message', 'hmr2', 'vitdet'],
  additionalProperties: { ...warmed, description: 'One for each network of the model' },
}

const poseHealth = closed({
  status: oneOf(['healthy', 'initializing', 'degraded', 'error'], '`degraded`: more than ten wait'),
  timestamp: number('Unix time, seconds'),
  models_loaded: flag('A frame has gone through'),
  gpu_available: flag('The model is on a card'),
  device: DEVICE,
  models: map({ type: 'boolean' }, 'Loaded or not, by network'),
  pool: closed({
    gpu_busy: flag('Something is at work'),
    queue_length: integer('Requests that wait'),
    active_jobs: integer('Requests and video jobs at work'),
  }),
  error: orNull(text('Why the model could not be loaded')),
})

const poolStatus = closed({
  timestamp: number('Unix time, seconds'),
  pool: closed({
    gpu_busy: flag('Something is at work'),
    max_workers: integer('Requests at work at once, at most'),
    active_workers: integer('At work now'),
    available_workers: integer('Free'),
  }),
  queue: closed({
    length: integer('Requests that wait'),
    max_length: integer('More are refused with 429'),
    estimated_wait_time_seconds: number('For a newcomer, by what work took lately'),
  }),
  jobs: closed({
    total: integer('Video jobs kept'),
    queued: integer('Waiting'),
    processing: integer('At work'),
    completed: integer('Done'),
    failed: integer('Ended by an error'),
  }),
  system: closed({
    device: DEVICE,
    gpu_available: flag('The model is on a card'),
    models_loaded: flag('A frame has gone through'),
  }),
})

/** Any refusal. */
const error = {
  type: 'object',
  properties: {
    error: text('What was expected, what was found, what to do'),
    error_code: text('Stable, ERR_POSE4D_… (docs/errors.md)'),
    request_id: text('As in the log'),
  },
  required: ['error', 'error_code', 'request_id'],
}

module.exports = {
  components: {
    Error: error,
    Health: health,
    Warmup: warmup,
    PoseHealth: poseHealth,
    PoolStatus: poolStatus,
  },
}
