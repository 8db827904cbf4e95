'use strict'
// What has to happen in Redis all at once or not at all. Whoever follows a clip owns its record: what somebody
// who lost it writes is refused.

const OWNED = `if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end`

/** Name → `{ numberOfKeys, lua }`, as ioredis defines commands. */
const SCRIPTS = {
  // record, counter, waiting; id, fields … → its number; 0: there already
  jobAdd: {
    numberOfKeys: 3,
    lua: `
      if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
      local seq = redis.call('INCR', KEYS[2])
      redis.call('HSET', KEYS[1], 'seq', seq, unpack(ARGV, 2))
      redis.call('ZADD', KEYS[3], seq, ARGV[1])
      return seq`,
  },
  // record, waiting, at work; owner, id, now → 1; 0: ended; -1: gone
  jobClaim: {
    numberOfKeys: 3,
    lua: `
      local status = redis.call('HGET', KEYS[1], 'status')
      if not status then return -1 end
      if status ~= '"queued"' and status ~= '"processing"' then return 0 end
      redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'status', '"processing"')
      redis.call('HSETNX', KEYS[1], 'started', ARGV[3])
      redis.call('HINCRBY', KEYS[1], 'attempts', 1)
      redis.call('ZREM', KEYS[2], ARGV[2])
      redis.call('ZADD', KEYS[3], redis.call('HGET', KEYS[1], 'seq'), ARGV[2])
      return 1`,
  },
  // record; owner, fields …
  jobSet: {
    numberOfKeys: 1,
    lua: `${OWNED}
      redis.call('HSET', KEYS[1], unpack(ARGV, 2))
      return 1`,
  },
  // record, results, snapshot, looks to delete …; owner, from, count, floor, snapshot, i, result …
  // -1: somebody else's results end elsewhere
  jobAppend: {
    lua: `${OWNED}
      local done = redis.call('HGET', KEYS[1], 'frames_done') or '0'
      if done ~= ARGV[2] then return -1 end
      redis.call('HSET', KEYS[2], unpack(ARGV, 6))
      if #ARGV[5] > 0 then redis.call('SET', KEYS[3], ARGV[5]) end
      redis.call('HSET', KEYS[1], 'frames_done', string.format('%d', ARGV[2] + ARGV[3]),
        'attempts', 0, 'floor', ARGV[4])
      for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
      return 1`,
  },
  // record, what is forgotten …; owner
  jobForget: {
    lua: `${OWNED}
      for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
      redis.call('HSET', KEYS[1], 'frames_done', 0, 'floor', 0)
      return 1`,
  },
  // record, at work, ended, what is of no use any more …; owner, id, now, fields …
  jobEnd: {
    lua: `${OWNED}
      redis.call('HSET', KEYS[1], unpack(ARGV, 4))
      redis.call('HDEL', KEYS[1], 'owner')
      redis.call('ZREM', KEYS[2], ARGV[2])
      redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
      for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
      return 1`,
  },
  // record, waiting, at work; owner, id: given back unharmed, which is no attempt
  jobRelease: {
    numberOfKeys: 3,
    lua: `${OWNED}
      redis.call('HDEL', KEYS[1], 'owner')
      local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts') or '0')
      redis.call('HSET', KEYS[1], 'status', '"queued"', 'attempts', math.max(0, attempts - 1))
      redis.call('ZREM', KEYS[3], ARGV[2])
      redis.call('ZADD', KEYS[2], redis.call('HGET', KEYS[1], 'seq'), ARGV[2])
      return 1`,
  },
  // record, attempts, looks; shard → how often it was begun; 0: nobody wants it
  shardBegin: {
    numberOfKeys: 3,
    lua: `
      local status = redis.call('HGET', KEYS[1], 'status')
      if status ~= '"queued"' and status ~= '"processing"' then return 0 end
      if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'floor') or '0') then return 0 end
      if redis.call('HEXISTS', KEYS[3], 'end') == 1 then return 0 end
      return redis.call('HINCRBY', KEYS[2], ARGV[1], 1)`,
  },
  // record, looks; shard, seconds, field, value …: while they are wanted
  shardPut: {
    numberOfKeys: 2,
    lua: `
      local status = redis.call('HGET', KEYS[1], 'status')
      local wanted = status == '"queued"' or status == '"processing"'
      local floor = tonumber(redis.call('HGET', KEYS[1], 'floor') or '0')
      if not wanted or tonumber(ARGV[1]) < floor then
        redis.call('UNLINK', KEYS[2])
        return 0
      end
      redis.call('HSET', KEYS[2], unpack(ARGV, 3))
      redis.call('EXPIRE', KEYS[2], ARGV[2])
      return 1`,
  },
}

module.exports = { SCRIPTS }
