// Reads single members out of a wheel (a zip file) and checks each against the wheel's RECORD.

import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'

const END_OF_DIRECTORY = 0x06054b50
const DIRECTORY_ENTRY = 0x02014b50
const LOCAL_ENTRY = 0x04034b50
const STORED = 0
const DEFLATED = 8
const NEEDS_ZIP64 = 0xffffffff

async function readExactly(file, position, length, what) {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead !== length) throw new Error(`${what} is cut short`)
  return buffer
}

/** Opens a wheel: its directory, and its RECORD of checksums. */
export async function openWheel(wheelPath) {
  const file = await open(wheelPath, 'r')
  try {
    const entries = await readDirectory(file, wheelPath)
    const wheel = { path: wheelPath, file, entries, record: new Map() }
    const recordName = [...entries.keys()].find((name) => /^[^/]+\.dist-info\/RECORD$/.test(name))
    if (!recordName) throw new Error(`${wheelPath} has no RECORD: it is not a wheel`)
    wheel.record = parseRecord((await readMember(wheel, recordName)).toString('utf8'))
    return wheel
  } catch (error) {
    await file.close()
    throw error
  }
}

async function readDirectory(file, wheelPath) {
  const { size } = await file.stat()
  const tailLength = Math.min(size, 65_557)
  const tail = await readExactly(file, size - tailLength, tailLength, wheelPath)
  let end = tailLength - 22
  while (end >= 0 && tail.readUInt32LE(end) !== END_OF_DIRECTORY) end -= 1
  if (end < 0) throw new Error(`${wheelPath} is not a zip file, or is cut short`)
  const length = tail.readUInt32LE(end + 12)
  const start = tail.readUInt32LE(end + 16)
  if (start === NEEDS_ZIP64 || start + length > size) {
    throw new Error(`${wheelPath}: zip64 or damaged directory`)
  }
  const directory = await readExactly(file, start, length, wheelPath)
  const entries = new Map()
  for (let at = 0; at + 46 <= length && directory.readUInt32LE(at) === DIRECTORY_ENTRY; ) {
    const nameLength = directory.readUInt16LE(at + 28)
    const entry = {
      method: directory.readUInt16LE(at + 10),
      packed: directory.readUInt32LE(at + 20),
      size: directory.readUInt32LE(at + 24),
      offset: directory.readUInt32LE(at + 42),
    }
    entries.set(directory.toString('utf8', at + 46, at + 46 + nameLength), entry)
    at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  return entries
}

/** RECORD lines are `path,sha256=<base64url>,size`; a path with a comma is quoted. */
export function parseRecord(text) {
  const record = new Map()
  for (const line of text.split(/\r?\n/)) {
    const parts = /^(?:"((?:[^"]|"")+)"|([^,]+)),sha256=([\w-]+),\d+$/.exec(line)
    if (parts) record.set(parts[1]?.replaceAll('""', '"') ?? parts[2], parts[3])
  }
  return record
}

async function memberStream(wheel, name) {
  const entry = wheel.entries.get(name)
  if (!entry) throw new Error(`${wheel.path} has no ${name}`)
  if (entry.packed === NEEDS_ZIP64 || entry.offset === NEEDS_ZIP64) {
    throw new Error(`${wheel.path}: ${name} needs zip64`)
  }
  const header = await readExactly(wheel.file, entry.offset, 30, wheel.path)
  if (header.readUInt32LE(0) !== LOCAL_ENTRY) throw new Error(`${wheel.path} is damaged at ${name}`)
  const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28)
  const stages = []
  if (entry.packed > 0) {
    const end = start + entry.packed - 1
    const { fd } = wheel.file
    stages.push(
      createReadStream(null, { fd, start, end, autoClose: false, highWaterMark: 1 << 20 }),
    )
  } else {
    stages.push([])
  }
  if (entry.method === DEFLATED) stages.push(createInflateRaw({ chunkSize: 1 << 18 }))
  else if (entry.method !== STORED) throw new Error(`${name}: unknown compression ${entry.method}`)
  return stages
}

async function readMember(wheel, name) {
  const chunks = []
  await pipeline(...(await memberStream(wheel, name)), async (source) => {
    for await (const chunk of source) chunks.push(chunk)
  })
  return Buffer.concat(chunks)
}

/** A small text member, such as METADATA; the name may be a pattern. */
export async function readText(wheel, pattern) {
  const name = [...wheel.entries.keys()].find((member) => pattern.test(member))
  if (!name) throw new Error(`${wheel.path} has no member like ${pattern}`)
  return (await readMember(wheel, name)).toString('utf8')
}

/** Writes one member to `target`; anything but the bytes that RECORD promises is an error. */
export async function extractMember(wheel, name, target) {
  if (name.split('/').includes('..')) throw new Error(`${wheel.path}: unsafe name ${name}`)
  const expected = wheel.record.get(name)
  if (!expected) throw new Error(`${wheel.path}: RECORD has no checksum for ${name}`)
  await mkdir(path.dirname(target), { recursive: true })
  const hash = createHash('sha256')
  const tee = new Transform({
    transform(chunk, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  await pipeline(...(await memberStream(wheel, name)), tee, createWriteStream(target))
  const actual = hash.digest('base64url')
  if (actual !== expected) {
    throw new Error(
      `${path.basename(wheel.path)}: ${name} has sha256 ${actual}, RECORD says ${expected}; ` +
        'the download is damaged: try again',
    )
  }
}
