// Whose turn it is: bounds, priorities, turns among clients, leaving.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import queues from '../service/queue.cjs'

const { FairQueue } = queues
const FULL = { code: 'ERR_POSE4D_QUEUE_FULL' }

/** Work that ends when it is told to, and a list of what began in which order. */
function board(limits) {
  const queue = new FairQueue({ concurrency: 1, maxQueue: 100, maxQueuePerClient: 100, ...limits })
  const began = []
  const ends = []
  const add = (name, options) =>
    queue.run(() => {
      began.push(name)
      return new Promise((resolve) => ends.push(() => resolve(name)))
    }, options)
  const tick = () => new Promise((resolve) => setImmediate(resolve))
  /** Lets all of it run, one after the other. */
  const finish = async () => {
    await tick()
    while (ends.length > 0) {
      ends.shift()()
      await tick()
    }
    return began
  }
  return { queue, add, began, finish, tick }
}

test('clients take turns, whoever asks how much', async () => {
  const { add, finish } = board()
  const all = [add('first', { client: 'hog' })]
  for (let i = 0; i < 5; i++) all.push(add(`hog ${i}`, { client: 'hog' }))
  for (let i = 0; i < 2; i++)
    all.push(add(`a ${i}`, { client: 'a' }), add(`b ${i}`, { client: 'b' }))
  assert.deepEqual(await finish(), [
    ...['first', 'hog 0', 'a 0', 'b 0', 'hog 1', 'a 1', 'b 1', 'hog 2', 'hog 3', 'hog 4'],
  ])
  assert.equal((await Promise.all(all)).length, 10)
})

test('high before normal before low, and low all the same', async () => {
  const { add, finish } = board()
  add('running')
  add('low', { priority: 'low' })
  for (let i = 0; i < 9; i++) add(`high ${i}`, { priority: 'high' })
  add('normal')
  const order = await finish()
  assert.equal(order[1], 'high 0')
  assert.equal(order.indexOf('low'), 8, 'the eighth turn is its')
  assert.ok(order.indexOf('normal') > order.indexOf('high 8'))
})

test('a full queue refuses with the time after which to come back, and loses nothing', async () => {
  const { add, finish, queue } = board({ maxQueue: 3 })
  const taken = Array.from({ length: 4 }, (_, i) => add(`work ${i}`))
  await assert.rejects(add('too much'), (error) => {
    assert.equal(error.code, FULL.code)
    assert.match(error.headers['retry-after'], /^[1-9]\d*$/)
    assert.equal(error.retryable, true)
    return true
  })
  assert.equal(queue.length, 3)
  await finish()
  assert.deepEqual(await Promise.all(taken), ['work 0', 'work 1', 'work 2', 'work 3'])
  assert.equal(queue.length + queue.active, 0)
})

test('one client’s share', async () => {
  const { add, finish } = board({ maxQueue: 10, maxQueuePerClient: 2 })
  for (let i = 0; i < 3; i++) add(`mine ${i}`, { client: 'me' })
  await assert.rejects(add('mine', { client: 'me' }), FULL)
  add('yours', { client: 'you' })
  assert.equal((await finish()).length, 4)
})

test('whoever goes away while waiting leaves the queue at once', async () => {
  const { add, queue, finish } = board()
  add('running')
  const gone = new AbortController()
  const waiting = add('gone', { signal: gone.signal })
  add('stays')
  assert.equal(queue.length, 2)
  gone.abort(new Error('went away'))
  await assert.rejects(waiting, /went away/)
  assert.equal(queue.length, 1)
  assert.deepEqual(await finish(), ['running', 'stays'])
  await assert.rejects(add('late', { signal: gone.signal }), /went away/)
})

test('work that fails frees its place, also work that throws at once', async () => {
  const { add, finish, queue } = board()
  const failed = queue.run(() => {
    throw new Error('broken')
  })
  const next = add('next')
  await assert.rejects(failed, /broken/)
  await finish()
  assert.equal(await next, 'next')
})

test('closed, it finishes what it has and takes nothing', async () => {
  const { add, finish, queue } = board()
  const taken = [add('a'), add('b')]
  queue.close()
  await assert.rejects(add('c'), { code: 'ERR_POSE4D_SHUTTING_DOWN' })
  let idle = false
  const over = queue.idle().then(() => {
    idle = true
  })
  assert.equal(idle, false)
  await finish()
  await over
  assert.deepEqual(await Promise.all(taken), ['a', 'b'])
})

test('the wait that is announced follows what work takes', async () => {
  const queue = new FairQueue({ concurrency: 2, maxQueue: 100, maxQueuePerClient: 100 })
  assert.equal(queue.waitSeconds, 0)
  const slow = () => new Promise((resolve) => setTimeout(resolve, 40))
  await Promise.all([queue.run(slow), queue.run(slow)])
  const all = Array.from({ length: 6 }, () => queue.run(slow))
  // Four wait before a newcomer, two at once, 40 ms each: 0.1 s.
  assert.ok(queue.waitSeconds > 0.05 && queue.waitSeconds < 20, queue.waitSeconds)
  await Promise.all(all)
})
